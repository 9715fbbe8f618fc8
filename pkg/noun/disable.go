package noun

import (
	"context"
	"slices"

	"orchestra/pkg/fault"
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
				row.Text(plan.Noun(row.Noun).Key), Excerpt(reason), List{}.Format(reasons))
		}
	}
	return plan.Set(ctx, row, Values{DisabledField: slices.Delete(slices.Clone(reasons), at, at+1)})
}
