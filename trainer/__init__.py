"""The makers' side: data, recipes, training, evaluation. It may use ``bbj_desktop.core`` and ``.services``, never the
floors above them; torch is imported only where it trains."""
