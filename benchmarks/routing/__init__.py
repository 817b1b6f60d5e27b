"""Routers of payments on simulated channels: what do they lose against who always knows the best?"""
