-- Lookup: what was adjusted because of an order is found from the order.

create index adjustment_linked_order on adjustment (book, linked_order) where linked_order is not null;
