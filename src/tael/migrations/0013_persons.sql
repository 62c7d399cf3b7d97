-- A key may belong to a person: who proposes and who decides are compared by person, not by key. No name has a colon, so
-- nobody can be called what a key without a person is called.
alter table api_key add column person text check (person ~ '^[a-z0-9][a-z0-9._@-]{0,63}$');
