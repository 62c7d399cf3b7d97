"""What every package stands on: database, batches, tasks, ids, money, errors, HTTP. Knows nothing about payments."""
