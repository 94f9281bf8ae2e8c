"""Networks: populations that advance together, and the projections between them."""

from .network import STAGES, Network
from .projection import Pathway, Projection

__all__ = ["STAGES", "Network", "Pathway", "Projection"]
