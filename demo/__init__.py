"""The demo: both servers on this machine, a round that it makes itself, and an unattended run of the whole loop."""
