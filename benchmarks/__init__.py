"""What Tael promises about speed, measured; `make bench` runs it. Not part of the installed package."""
