"""Collects raw inputs. Decides nothing that ``interpreting`` could decide."""
