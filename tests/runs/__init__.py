"""Tests of runs; a package, so that other tests can use its harness."""
