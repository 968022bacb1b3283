package decisionscmd

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/cmd/keyward/internal/operatorclient"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/services/decision"
	"github.com/keyward/keyward/services/decision/replay"
)

// indexField is something of a decision that the index of a server is asked by.
type indexField struct{ flag, field, means string }

func indexed() []indexField {
	return []indexField{
		{"rule", "rule", "by the row of this `name`"},
		{"reason", "reason", "with this `reason`"},
		{"verdict", "verdict", "with this `verdict` of the rules of risk: allow, review, challenge or deny"},
		{"level", "level", "of this `level` of risk: low, medium or high"},
		{"device", "device", "of this `class` of device, such as phone"},
		{"os", "os", "of this operating `system`"},
		{"browser", "browser", "of this `browser`"},
		{"route", "route", "that offered a login by this `route`, or a creation of this kind"},
		{"revision", "revision", "by this `revision` of the policy"},
		{"arm", "arm", "by this `side` of a canary: base or canary"},
		{"process", "processID", "of the process with this `ID`"},
	}
}

// index is the index of a server, as the Operator API has it.
type index struct{ *operatorclient.Client }

// filters are what the index is asked; of several tags one.
func (f *Filter) filters(selection replay.Selection, tag string) []string {
	filters := []string{}
	add := func(field, value string) {
		if value != "" {
			filters = append(filters, field+":eq:"+value)
		}
	}
	add("projectID", string(selection.Project))
	add("userID", string(selection.User))
	add("action", selection.Action)
	add("tag", tag)
	if !f.either {
		add("allow", strconv.FormatBool(f.allow))
	}
	if !selection.Since.IsZero() {
		filters = append(filters, "created:gt:"+strconv.FormatInt(selection.Since.UnixMilli()-1, 10))
	}
	for _, of := range indexed() {
		add(of.field, *f.indexed[of.field])
	}
	return filters
}

// find returns the newest decisions that are meant, the oldest first, and what the index leaves out. 0 = all.
func (f *Filter) find(
	ctx context.Context, i index, selection replay.Selection, limit int,
) (found []operator.DecisionSummary, c operator.DecisionCoverage, _ error) {
	tags := f.tags
	if len(tags) == 0 {
		tags = []string{""}
	}
	for _, tag := range slices.Compact(slices.Sorted(slices.Values(tags))) {
		some, covers, err := i.newest(ctx, f.filters(selection, tag), limit)
		if err != nil {
			return nil, c, err
		}
		found, c = append(found, some...), covers
	}
	slices.SortStableFunc(found, func(a, b operator.DecisionSummary) int { return a.Created.Compare(b.Created) })
	if limit > 0 && len(found) > limit {
		found = found[len(found)-limit:]
	}
	return found, c, nil
}

// newest reads as many pages as it takes. What is decided meanwhile moves pages on, so it begins at one moment.
func (i index) newest(
	ctx context.Context, filter []string, limit int,
) (found []operator.DecisionSummary, c operator.DecisionCoverage, _ error) {
	const largest = 1000
	until := ""
	for page := 1; ; page++ {
		asked := operatorclient.Asked{Filter: filter, Page: page, PageSize: largest}
		if limit > 0 {
			asked.PageSize = min(largest, limit)
		}
		if until != "" {
			asked.Filter = append(slices.Clone(filter), until)
		}
		got, err := i.ListDecisions(ctx, asked)
		if err != nil {
			return nil, c, err
		}
		if c = got.Coverage; page == 1 && len(got.Decisions) > 0 {
			until = "created:lt:" + strconv.FormatInt(got.Decisions[0].Created.UnixMilli()+1, 10)
		}
		found = append(found, got.Decisions...)
		if int32(page) >= got.Paging.TotalPages || limit > 0 && len(found) >= limit {
			if limit > 0 {
				found = found[:min(limit, len(found))]
			}
			slices.Reverse(found)
			return found, c, nil
		}
	}
}

// listIndex is list by the index.
func (f *Filter) listIndex(cmd *cobra.Command, terminal command.Terminal, limit int, asJSON bool) error {
	selection, i, err := f.index(cmd, terminal)
	if err != nil {
		return err
	}
	found, covers, err := f.find(cmd.Context(), i, selection, limit)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(cmd.OutOrStdout())
	lines := newTable(out, asJSON)
	for n := range found {
		if err := lines.summary(&found[n]); err != nil {
			return err
		}
	}
	if err := errors.Join(lines.end(), out.Flush()); err != nil {
		return err
	}
	if covers.Omitted > 0 || covers.Behind > 0 {
		const text = "keyward: of this time %d decisions are indexed and %d left out for the rate; %d are yet to be indexed\n"
		_, _ = fmt.Fprintf(cmd.ErrOrStderr(), text, covers.Indexed, covers.Omitted, covers.Behind)
	}
	return nil
}

// index returns the index that the flags name, and what they select.
func (f *Filter) index(cmd *cobra.Command, terminal command.Terminal) (replay.Selection, index, error) {
	f.byIndex = true
	selection, err := f.read(cmd, time.Now())
	if err != nil {
		return selection, index{}, err
	}
	client, err := command.FindOperatorAPI(cmd, terminal)
	return selection, index{client}, err
}

// tailIndex is tail by the index.
func (f *Filter) tailIndex(cmd *cobra.Command, terminal command.Terminal, asJSON bool) error {
	selection, i, err := f.index(cmd, terminal)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(cmd.OutOrStdout())
	seen := map[string]bool{}
	take := func(d operator.DecisionSummary) error {
		if seen[d.DecisionID] || len(f.tags) > 0 && !slices.Contains(f.tags, d.Tag) {
			return nil
		}
		if err := followSummary(out, &d, asJSON); err != nil {
			return err
		}
		return out.Flush()
	}
	first := true
	var before error
	// What was decided before is told once nothing after it can be missed.
	began := func() {
		if !first || selection.Since.IsZero() {
			return
		}
		first = false
		var found []operator.DecisionSummary
		if found, _, before = f.find(cmd.Context(), i, selection, 0); before != nil {
			return
		}
		for _, d := range found {
			if before = take(d); before != nil {
				return
			}
			seen[d.DecisionID] = true
		}
	}
	only := ""
	if len(f.tags) == 1 {
		only = f.tags[0]
	}
	live := selection
	live.Since = time.Time{}
	err = i.FollowDecisions(cmd.Context(), f.filters(live, only), began, take, func(err error) {
		_, _ = fmt.Fprintln(cmd.ErrOrStderr(), "keyward: the server is away and is waited for:", err)
	})
	return errors.Join(err, before, out.Flush())
}

// showIndex is show by the Operator API.
func (f *Filter) showIndex(cmd *cobra.Command, terminal command.Terminal, args []string, asJSON bool) error {
	var id ident.DecisionID
	if len(args) > 0 {
		var err error
		if id, err = named(cmd, args); err != nil {
			return err
		}
	}
	selection, i, err := f.index(cmd, terminal)
	if err != nil {
		return err
	}
	if id == "" {
		found, _, err := f.find(cmd.Context(), i, selection, 1)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return fmt.Errorf("of those that are meant: %w; keyward decisions list shows those that are there", replay.ErrNotFound)
		}
		id = ident.DecisionID(found[0].DecisionID)
	}
	got, err := i.GetDecision(cmd.Context(), string(id))
	if err != nil {
		return err
	}
	raw, err := json.Marshal(got.Record)
	if err != nil {
		return err
	}
	var told shown
	if err := json.Unmarshal(raw, &told.Record); err != nil {
		return fmt.Errorf("read the record: %w", err)
	}
	if raw, err = json.Marshal(got.Outcome); err != nil {
		return err
	}
	if err := json.Unmarshal(raw, &told.Outcome); err != nil {
		return fmt.Errorf("read what came of it: %w", err)
	}
	if asJSON {
		return command.WriteJSON(cmd, told)
	}
	return told.write(cmd.OutOrStdout())
}

// recordOf is as much of a record as the lines of lists have.
func recordOf(d *operator.DecisionSummary) *replay.Record {
	r := &replay.Record{Judgement: decision.Judgement{
		ID: ident.DecisionID(d.DecisionID), Time: d.Created, Project: ident.ProjectID(d.ProjectID), Action: string(d.Action), Allow: d.Allow,
		Rule: d.Rule, Tag: rest.DecisionTag(d.Tag),
	}}
	if d.UserID != nil {
		r.User = ident.UserID(*d.UserID)
	}
	return r
}

func followSummary(out *bufio.Writer, d *operator.DecisionSummary, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(d)
	}
	return follow(out, recordOf(d), false)
}

func (t *table) summary(d *operator.DecisionSummary) error {
	if t.json != nil {
		return t.json.Encode(d)
	}
	return t.line(recordOf(d))
}
