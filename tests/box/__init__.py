"""Tests of kiosks in virtual machines.

It is a package so that its tests, run in a row, can share a fixture.
"""
