-- A withdrawal that waits for its payee at the channel may be called back (撤销): `called_back` is the person who did.
-- It is written once and stays; everything else about a withdrawal is still fixed for ever.

alter table withdrawal add column called_back text check (called_back <> '');

drop trigger never_edited on withdrawal;
create trigger never_edited before update of book, order_no, owner, payee, maker, review
    on withdrawal for each row execute function refuse_withdrawal_change();
create trigger called_back_once before update of called_back
    on withdrawal for each row when (old.called_back is not null) execute function refuse_withdrawal_change();
