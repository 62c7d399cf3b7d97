"""Tests of risk control."""
