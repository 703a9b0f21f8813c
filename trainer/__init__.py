"""The makers' side: data, recipes, training, evaluation. It may use ``bbj_desktop.core`` and ``.services``, never the
floors above them. Nothing is here yet but the name and the import contract that guards it."""
