"""The centre: frames become observations, observations findings, findings alerts, alerts notices."""
