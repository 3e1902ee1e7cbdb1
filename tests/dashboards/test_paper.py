from collections import Counter

from dashboards.paper import CORRELATIONS, EQUI, SHEETS, TASKS


def test_names_are_told_apart():
    for sheet in SHEETS:
        titles = Counter(column.title for column in sheet.columns)
        assert max(titles.values()) == 1
        for column in sheet.columns:
            assert len({model.name for model in column.values}) == len(column.values)


def test_values_are_in_their_unit():
    for sheet in SHEETS:
        for column in sheet.columns:
            low, high = (30, 100) if column.percent else (0, 1)
            assert all(low <= value <= high for value in column.values.values())


def test_the_tasks_have_the_means_of_the_table():
    (alone, together) = (sum(column) / len(TASKS) for column in zip(*TASKS.values(), strict=True))
    sheet = next(sheet for sheet in SHEETS if sheet.section == "7.5")
    assert [round(alone, 1), round(together, 1)] == [column.values[EQUI] for column in sheet.columns]


def test_correlations_are_of_columns():
    titles = {column.title for sheet in SHEETS for column in sheet.columns}
    assert {item.with_column for item in CORRELATIONS} <= titles
