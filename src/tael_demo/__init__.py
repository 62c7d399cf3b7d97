"""The demo: Tael, simulated channels and a business's receiver on one machine, and real flows played through them.

The only package that imports both worlds. Every tick it prints is an assertion that held.
"""
