"""Fault runs: real processes that are killed at random, and a judge who compares what everybody knows afterwards.

`recharge.py` and `payments.py` are the two runs, and `rounds.py` is what their commands share. `stage.py` starts and
kills the processes, `customers.py` and `payments_crowd.py` are the people, `clients.py` how they ask and what they note
down, and `verdict.py` and `payments_verdict.py` judge.
"""
