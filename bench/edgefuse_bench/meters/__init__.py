"""What is measured of the machine beside a run: heat, clock, throttling, energy. One small class for each meter."""

from edgefuse_bench.meters.meter import Meter, joules
from edgefuse_bench.meters.remarks import remarks
from edgefuse_bench.meters.sampler import Sampler
from edgefuse_bench.meters.table import all_meters

__all__ = ["Meter", "Sampler", "all_meters", "joules", "remarks"]
