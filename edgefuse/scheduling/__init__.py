"""Encoding on many machines: portions of samples are tasks of dask.distributed, their vectors fill one table here."""
