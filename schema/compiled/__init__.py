"""Operations compiled to plans: the same declared sources as the ordinary executor's, without its price a field.

`docs/compiled-operations.md` explains it.
"""
