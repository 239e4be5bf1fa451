"""Deployment scripts, run: what one is, its folder and variables, what it leaves.

model.py      a script as its resource has it, and how it ended
stand_ins.py  what runs in a script's place: `[scripts.<name>]` of orchestrator.toml
folders.py    where a script's files, its outputs and its log lie
running.py    one script, from its files to its end

On Azure a script runs in a container that the service makes and removes; here it is a process of
this machine, as jobs are, with the same trust. It knows nothing of Resource Manager.
"""
