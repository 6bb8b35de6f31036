"""Attesters: what makes evidence about this process, and keys that only this code gets on this machine.

Each back end has the same shape: ``kind``, ``evidence(report_data)``, ``sealing_key(policy, label)``,
``measurement()`` and ``platform_id``.
"""
