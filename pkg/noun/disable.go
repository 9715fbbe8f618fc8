package noun

import (
	"context"
	"slices"
	"strings"

	"orchestra/pkg/fault"
	"orchestra/pkg/message"
)

// DefaultReason is why something is disabled where nobody says so.
const DefaultReason = "administrative"

// Disable stacks a reason on a row. A reason that is there already changes nothing.
func Disable(ctx context.Context, plan Planner, row Row, reason string) (Row, error) {
	if reason == "" {
		reason = DefaultReason
	}
	reasons := row.List(DisabledField)
	if slices.Contains(reasons, reason) {
		return row, nil
	}
	return plan.Set(ctx, row, Values{DisabledField: append(slices.Clone(reasons), reason)})
}

// Enable takes one reason off a row: that one, or the last where reason is "".
// What is enabled already stays so; a reason that is not there is refused.
func Enable(ctx context.Context, plan Planner, row Row, reason string) (Row, error) {
	reasons := row.List(DisabledField)
	if len(reasons) == 0 {
		return row, nil
	}
	at := len(reasons) - 1
	if reason != "" {
		if at = slices.Index(reasons, reason); at < 0 {
			return row, fault.New(fault.Conflict, "%s %s is not disabled for %q, but for %s", row.Noun,
				row.Text(plan.Noun(row.Noun).Key), Excerpt(reason), strings.Join(reasons, ", "))
		}
	}
	left := slices.Delete(slices.Clone(reasons), at, at+1)
	if len(left) > 0 {
		name := row.Text(plan.Noun(row.Noun).Key)
		plan.Warn(message.New("%s %s is still disabled: %s. The next reason is taken back by: orchestra %s enable %s", row.Noun, name, strings.Join(left, ", "), row.Noun, name))
	}
	return plan.Set(ctx, row, Values{DisabledField: left})
}

// DisabledBy returns what makes a row inactive that is not disabled itself: the
// nearest of those that own it which is, false where none is.
func DisabledBy(ctx context.Context, view View, row Row) (Row, bool, error) {
	n := view.Noun(row.Noun)
	for n != nil && n.Owner != "" && !n.IsAccount() {
		owner, _ := n.Field(n.Owner)
		above, err := view.Get(ctx, owner.Reference, row.Int(n.Owner))
		if err != nil {
			return Row{}, false, err
		}
		if len(above.List(DisabledField)) > 0 {
			return above, true, nil
		}
		row, n = above, view.Noun(owner.Reference)
	}
	return Row{}, false, nil
}
