"""Plans made while the tables were empty still find few rows when the tables have grown."""

from datetime import UTC, datetime

from grown_tables import Growing
from tael.base.db import Database
from tael.lookup import find, tell

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
NO = "'RC' || lpad(n::text, 30, '0')"
N = "from generate_series(1, $2::int) n where $1::timestamptz is not null"
LOAD = {
    "merchant_account": """insert into merchant_account (book, id, name, channel, mode, state, mchid, base_url,
            secret_refs, created_at, changed_at)
        select 1, n, 'a' || n, 'wechat', 'test', 'active', n::text, '', '{}', $1, $1
        from generate_series(1, $2::int / 1000) n""",
    "payment_order": f"""insert into payment_order (book, order_no, id, kind, mode, state, account, amount, currency,
            description, business_order_no, request_key, metadata, created_at, expires_at)
        select 1, {NO}, n, 'recharge', 'test', 'created', n % 50, 1, 'CNY', '', 'S' || n, 'K' || n, '{{}}',
            $1, $1 {N}""",
    "payment_attempt": f"""insert into payment_attempt (book, attempt_no, order_no, id, state, channel,
            merchant_account, method, amount, currency, channel_ref, created_at)
        select 1, {NO}, {NO}, n, 'created', 'wechat', n % 5 + 1, 'native', 1, 'CNY', 'C' || n, $1 {N}""",
    "channel_exchange": f"""insert into channel_exchange (book, id, attempt_no, operation, outcome, exchange, at)
        select 1, n, {NO}, 'create', 'unknown', '{{"method": "POST"}}', $1 {N}""",
    "channel_notice": f"""insert into channel_notice (book, id, merchant_account, event_id, attempt_no, state, sha256,
            raw, received_at)
        select 1, n, 5, '', {NO}, '', '', '', $1 {N}""",
    "event": f"""insert into event (book, id, topic, subject, sequence, payload, created_at)
        select 1, n, 't', {NO}, 1, '{{}}', $1 {N}""",
    "callback_endpoint": """insert into callback_endpoint (book, id, url, topics, patterns, description, status,
            created_at)
        select 1, n, '', '{}', '{}', '', 'enabled', $1 from generate_series(1, $2::int / 1000) n""",
    "callback_delivery": f"""insert into callback_delivery (book, endpoint_id, event_id, topic, body, due_at,
            created_at)
        select 1, n % 5 + 1, n, 't', '', $1, $1 {N}""",
    "callback_attempt": f"""insert into callback_attempt (book, endpoint_id, event_id, number, at, outcome, duration_ms)
        select 1, n % 5 + 1, n, 1, $1, 'delivered', 1 {N}""",
    "task": f"""insert into task (book, id, queue, key, payload, due_at, created_at)
        select 1, n, 'recover', {NO}, 'null', $1, $1 {N}""",
    "account": f"""insert into account (book, id, kind, subject, currency, normal, limits, updating, status, opened_at,
            checksum)
        select 1, n, 'internal', 's', 'CNY', 'debit', 0, 'realtime', 'open', $1, 0 {N}""",
    "posting": f"""insert into posting (book, pos, id, at, debit, credit, amount, debit_seq, debit_debits,
            debit_credits, credit_seq, credit_debits, credit_credits, day, checksum, code, kind, leg, reference,
            order_no)
        select 1, n, ('00000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid, $1, 1, 2, 1, n, n, 0, n, 0, n,
            '2026-01-05', 0, 1, case when n % 3 = 1 then 1 when n % 3 = 2 then 2 else 0 end,
            case when n % 3 = 0 then 1 end,
            case when n % 3 = 2 then ('00000000-0000-0000-0000-' || lpad((n - 1)::text, 12, '0'))::uuid end,
            case when n % 3 <> 2 then 'RC' || lpad((n - n % 3)::text, 30, '0') end {N}""",
    "suspense_item": f"""insert into suspense_item (book, id, merchant_account, channel_ref, order_no, attempt_no,
            reason, amount, currency, proposal, state, created_at)
        select 1, n, n % 5 + 1, 'C' || n, {NO}, {NO}, 'late_payment', 1, 'CNY', 'refund', 'proposed', $1 {N}""",
    "refund": f"""insert into refund (book, order_no, payment_no, source, held_from, payment_total, send_at)
        select 1, 'RF' || lpad(n::text, 30, '0'), {NO}, 'channel', 1, 1, $1 {N}""",
    "route_hold": f"""insert into route_hold (book, number, merchant_account, channel, operation, currency, amount, day,
            month, state, bound, created_at)
        select 1, {NO}, 5, 'wechat', 'payout', 'CNY', 1, '2026-01-05', '2026-01-01', 'held', true, $1 {N}""",
    "risk_verdict": f"""insert into risk_verdict (book, operation, number, person, facts, rules_of, version, outcome,
            rules, reasons, trace, at)
        select 1, 'recharge', {NO}, n, '{{}}', 1, 1, 'pass', '{{}}', '[]', '[]', $1 {N}""",
    "adjustment": f"""insert into adjustment (book, adjustment_no, id, state, reason, linked_order, amount, currency,
            maker, request_key, events, created_at, expires_at)
        select 1, 'AD' || lpad(n::text, 30, '0'), n, 'proposed', 'r', {NO}, 1, 'CNY', 'm', n::text, 1, $1, $1 {N}""",
    "transfer": f"""insert into transfer (book, order_no, id, state, debit, credit, amount, currency, note,
            business_transfer_no, request_key, posting, created_at)
        select 1, {NO}, n, 'done', 1, 2, 1, 'CNY', '', 'B' || n, 'K' || n, gen_random_uuid(), $1 {N}""",
    "payment_fulfilment": f"""insert into payment_fulfilment (book, order_no, state, within_s, due_at)
        select 1, {NO}, 'expected', 1, $1 {N}""",
    "withdrawal": f"""insert into withdrawal (book, order_no, owner, payee, maker, review)
        select 1, {NO}, n, n, 'm', '' {N}""",
}  # fmt: skip
GROWING = Growing(list(LOAD), list(LOAD.values()), NOON)
NUMBERS = [
    f"RC{300:030}", "300", "S300", "K300", "C300", "B300", f"AD{300:030}", "00000000-0000-0000-0000-000000000300",
    "nobody's",
]  # fmt: skip


async def test_plans_made_on_empty_tables_still_probe_indexes(single: Database, db: Database) -> None:
    await GROWING.analyse(db)
    async with single.transaction() as tx:
        for number in NUMBERS:
            await find(tx, book=1, text=number)
            await tell(tx, book=1, number=number)
    async with db.transaction() as tx:
        await GROWING.grow(tx)
    many: dict[str, object] = {}
    sorts: set[str] = set()
    for number in NUMBERS:
        async with single.transaction() as tx:
            before = await GROWING.read(tx)
            hits = await find(tx, book=1, text=number)
            for about in {hit.about or "" for hit in hits}:
                sorts |= {entry.what for entry in (await tell(tx, book=1, number=about)).entries}
            after = await GROWING.read(tx)
        assert (hits == []) is (number == "nobody's"), number
        many |= {f"{number} {table}": after[table] - before[table] for table in after
                 if after[table] - before[table] >= GROWING.rows // 20}  # fmt: skip
    assert not many, "\n".join(f"{what}: {rows}" for what, rows in many.items())
    assert {"order", "exchange", "notice", "posting", "event", "delivery", "callback", "task", "suspense"} <= sorts
