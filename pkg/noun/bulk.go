package noun

import (
	"context"
	"slices"
)

// NamesOf returns what people call the objects of a noun, by id, with one
// statement. Ids that do not exist are missing.
func NamesOf(ctx context.Context, view View, name string, ids []int64) (map[int64]string, error) {
	rows, err := byID(ctx, view, name, ids)
	if err != nil {
		return nil, err
	}
	names := make(map[int64]string, len(rows))
	key := view.Noun(name).Key
	for id, row := range rows {
		names[id] = row.Text(key)
	}
	return names, nil
}

func byID(ctx context.Context, view View, name string, ids []int64) (map[int64]Row, error) {
	slices.Sort(ids)
	ids = slices.Compact(ids)
	if len(ids) > 0 && ids[0] == 0 {
		ids = ids[1:]
	}
	if len(ids) == 0 {
		return nil, nil
	}
	values := make([]any, len(ids))
	for i, id := range ids {
		values[i] = id
	}
	rows, err := view.Select(ctx, name, Where("id", values...))
	if err != nil {
		return nil, err
	}
	found := make(map[int64]Row, len(rows))
	for _, row := range rows {
		found[row.ID] = row
	}
	return found, nil
}

// Named returns copies of rows of one noun whose references are names instead
// of ids, as people see them. One statement for each noun that is referenced.
func Named(ctx context.Context, view View, rows []Row) ([]Row, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	named := make([]Row, len(rows))
	for i, row := range rows {
		named[i] = row.Clone()
	}
	for _, f := range view.Noun(rows[0].Noun).Fields {
		if f.Reference == "" || !f.Stored() {
			continue
		}
		ids := make([]int64, len(rows))
		for i, row := range rows {
			ids[i] = row.Int(f.Name)
		}
		names, err := NamesOf(ctx, view, f.Reference, ids)
		if err != nil {
			return nil, err
		}
		for i, row := range rows {
			delete(named[i].Values, f.Name)
			if name, ok := names[row.Int(f.Name)]; ok {
				named[i].Values[f.Name] = name
			}
		}
	}
	return named, nil
}

// ActiveOf tells of rows of one noun whether neither they nor what owns them is
// disabled, in their order. One statement for each noun on the way to the account.
func ActiveOf(ctx context.Context, view View, rows []Row) ([]bool, error) {
	active := make([]bool, len(rows))
	above := make([]Row, len(rows))
	for i, row := range rows {
		active[i], above[i] = len(row.List(DisabledField)) == 0, row
	}
	if len(rows) == 0 {
		return active, nil
	}
	n := view.Noun(rows[0].Noun)
	for n != nil && n.Owner != "" && !n.IsAccount() {
		owner, _ := n.Field(n.Owner)
		ids := make([]int64, len(rows))
		for i, row := range above {
			ids[i] = row.Int(n.Owner)
		}
		owners, err := byID(ctx, view, owner.Reference, slices.Clone(ids))
		if err != nil {
			return nil, err
		}
		for i, id := range ids {
			above[i] = owners[id]
			active[i] = active[i] && len(above[i].List(DisabledField)) == 0
		}
		n = view.Noun(owner.Reference)
	}
	return active, nil
}

// FactsOf returns what backends are told about rows of one noun, in their
// order: what the noun's Facts say, or all fields that are no secret, with
// references by name and "active" where the noun has it.
func FactsOf(ctx context.Context, view View, rows []Row) ([]Facts, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	n := view.Noun(rows[0].Noun)
	if n.Facts != nil {
		return n.Facts(ctx, view, rows)
	}
	named, err := Named(ctx, view, rows)
	if err != nil {
		return nil, err
	}
	facts := make([]Facts, len(rows))
	for i, row := range named {
		facts[i] = Facts{}
		for _, f := range n.AllFields() {
			if f.Shown() && f.Stored() && f.Name != CreatedField && row.Values[f.Name] != nil {
				facts[i][f.Name] = row.Values[f.Name]
			}
		}
	}
	for _, f := range n.Fields {
		if f.Compute == nil {
			continue
		}
		values, err := f.Compute(ctx, view, rows)
		if err != nil {
			return nil, err
		}
		for i, value := range values {
			if value != nil {
				facts[i][f.Name] = value
			}
		}
	}
	if !n.HasActive() {
		return facts, nil
	}
	active, err := ActiveOf(ctx, view, rows)
	if err != nil {
		return nil, err
	}
	for i := range facts {
		facts[i][ActiveField] = active[i]
	}
	return facts, nil
}
