-- Orders for every payment business: goods paid for, withdrawals and refunds besides recharges. What was given back of
-- a payment, and what is on its way back, stand in its own row: together they can never exceed what was paid.

alter table payment_order
    add column refund_pending bigint not null default 0 check (refund_pending >= 0),
    add column refunded bigint not null default 0 check (refunded >= 0),
    add constraint payment_order_refunds_within_amount check (refund_pending + refunded <= amount),
    drop constraint payment_order_kind_check,
    add constraint payment_order_kind_check check (kind in ('recharge', 'payment', 'withdrawal', 'refund')),
    drop constraint payment_order_state_check,
    add constraint payment_order_state_check check (state in ('created', 'paying', 'paid', 'failed', 'closed',
        'refunding', 'refunded', 'invalid', 'unknown', 'reviewing', 'approved', 'returned'));

alter table payment_attempt
    add column return_url text,
    drop constraint payment_attempt_state_check,
    add constraint payment_attempt_state_check check (state in ('created', 'paying', 'unknown', 'paid', 'failed',
        'closed', 'returned'));

create or replace function order_move_is_legal(was text, becomes text) returns boolean language sql immutable as $$
    select case was
        when 'created'   then becomes in ('paying', 'unknown', 'paid', 'failed', 'closed', 'invalid', 'reviewing',
                                          'approved')
        when 'reviewing' then becomes in ('approved', 'invalid')
        when 'approved'  then becomes in ('paying', 'unknown', 'paid', 'failed', 'invalid')
        when 'paying'    then becomes in ('unknown', 'paid', 'failed', 'closed', 'invalid')
        when 'unknown'   then becomes in ('paying', 'paid', 'failed', 'closed', 'invalid')
        when 'failed'    then becomes in ('paying', 'unknown', 'paid', 'closed', 'invalid')
        when 'paid'      then becomes in ('refunding', 'refunded', 'returned')
        when 'refunding' then becomes in ('refunded', 'paid')
        else false
    end
$$;

create or replace function attempt_move_is_legal(was text, becomes text) returns boolean language sql immutable as $$
    select case was
        when 'created' then becomes in ('paying', 'unknown', 'paid', 'failed', 'closed')
        when 'paying'  then becomes in ('unknown', 'paid', 'failed', 'closed')
        when 'unknown' then becomes in ('paying', 'paid', 'failed', 'closed')
        when 'failed'  then becomes = 'paid'
        when 'closed'  then becomes = 'paid'
        when 'paid'    then becomes = 'returned'
        else false
    end
$$;
