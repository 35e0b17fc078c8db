"""The graph that really ran: is it T copies of the proved step, and its whole gradient in a finite field."""

from .audit import audit, audit_graph, audit_scan
from .modular import check_gradient, modular_check

__all__ = ["audit", "audit_graph", "audit_scan", "check_gradient", "modular_check"]
