// Package text writes an explanation for a person at a terminal: the row that answered and why, what it read, where the account's passkeys
// are, and why each row above did not match. It promises a line for each, with file and line of the rule that settles it. It finds nothing
// out by itself, and touches nothing but the writer that it is given.
package text

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/explain"
	"github.com/keyward/keyward/services/decision/internal/causes"
	"github.com/keyward/keyward/services/decision/internal/detect"
	"github.com/keyward/keyward/services/decision/internal/recognition"
)

// Write writes an explanation. The error is the writer's.
func Write(w io.Writer, e *explain.Explanation) error {
	p := &page{w: w}
	p.printf("%s: %s   row %s   tag %s   revision %s\n", e.Action, allowed(e.Answer), e.Row.Name, e.Row.Tag, e.Revision)
	if e.Note != "" {
		p.printf("\n%s\n", e.Note)
	}
	p.answering(&e.Row)
	p.details(e.Row.Details)
	p.readings("Facts it read", e.Row.Facts)
	p.readings("Parameters it read", e.Row.Parameters)
	p.client(e.Client)
	p.lists(e.Lists)
	p.passkeys(e.Passkeys)
	p.causes(e.Causes)
	p.above(e.Above)
	return p.err
}

// WriteRisk writes how a request was judged beside what it asked for: what the rules would do or, where they bind, do, what is wrong, and
// what goes with it.
func WriteRisk(w io.Writer, e *explain.Explanation, enforced bool) error {
	p, binds := &page{w: w}, "nothing is refused for it"
	if enforced {
		binds = "it is done"
	}
	p.printf("\nRisk: %v   level %v   row %s   %s\n", e.Answer["action"], e.Answer["level"], e.Row.Name, binds)
	p.beside(e.Answer)
	if len(e.Risk) == 0 || p.err != nil {
		return p.err
	}
	table := tabwriter.NewWriter(p.w, 0, 0, 2, ' ', 0)
	for _, r := range e.Risk {
		_, _ = fmt.Fprintf(table, "    %s\tseverity %d\t%s\n", r.Code, r.Severity, r.Title)
	}
	p.err = table.Flush()
	p.found(e.Row.Details)
	if e.Answer["action"] != string(service.RiskAllow) {
		p.otherwise(e.Risk)
	}
	return p.err
}

// found writes what was found that reasons rest on: each fact with what it is compared with, of a counter what it counts and for how long.
func (p *page) found(details []explain.Condition) {
	var all []explain.Condition
	for _, c := range details {
		if fact, _, is := strings.Cut(c.Reason, " is "); c.Holds && is && ofAFact(fact) {
			all = append(all, c)
		}
	}
	if len(all) == 0 {
		return
	}
	p.printf("What was found\n")
	for _, c := range all {
		p.printf("    %s   %s\n", c.Reason, deepest(c))
	}
}

// ofAFact reports whether a condition is about a fact of a group. What stands by itself is where the ceremony stands, and the like.
func ofAFact(name string) bool {
	return strings.Contains(name, ".") && !strings.ContainsAny(name, " (\"")
}

// otherwise writes what would change the answer: that what counts most were not so.
func (p *page) otherwise(all []service.RiskReason) {
	worst, left := 0, 0
	var most []string
	for _, r := range all {
		worst = max(worst, r.Severity)
	}
	for _, r := range all {
		if r.Severity == worst {
			most = append(most, r.Code)
		} else {
			left = max(left, r.Severity)
		}
	}
	then := "nothing would be left"
	if left > 0 {
		then = fmt.Sprintf("severity %d would be the worst", left)
	}
	p.printf("What would change the answer\n    without %s %s\n", strings.Join(most, ", "), then)
}

// beside writes the members of an answer of risk beside action, level and reasons, as far as they say anything.
func (p *page) beside(answer map[string]any) {
	if methods, _ := answer["stepUp"].([]any); len(methods) > 0 {
		p.printf("    the further proof by any of %s\n", listed(methods))
	}
	if indexes, _ := answer["exclude"].([]any); len(indexes) > 0 {
		p.printf("    not to be named: the passkeys %s of credentials.items\n", listed(indexes))
	}
	if says(answer["retrySeconds"]) {
		p.printf("    worth trying again in %v seconds\n", answer["retrySeconds"])
	}
	obligations, _ := answer["obligations"].(map[string]any)
	if says(obligations["notifyUser"]) {
		p.printf("    the user should be told\n")
	}
	if says(obligations["maxSessionSeconds"]) {
		p.printf("    a session that comes of it lives at most %v seconds\n", obligations["maxSessionSeconds"])
	}
	if says(obligations["userVerification"]) {
		p.printf("    the login has to verify its user\n")
	}
}

// says reports whether a member of an answer says more than that there is nothing.
func says(member any) bool {
	return member != nil && !slices.Contains([]string{"", "0", "false"}, fmt.Sprint(member))
}

// listed writes the values of a list with commas between.
func listed(values []any) string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = fmt.Sprint(v)
	}
	return strings.Join(texts, ", ")
}

// allowed says how an answer came out, of risk what is to be done.
func allowed(answer map[string]any) string {
	if action, ok := answer["action"].(string); ok {
		return action
	}
	if allow, ok := answer["allow"].(bool); ok && allow {
		return "allowed"
	}
	return "not allowed"
}

// page remembers the first error of writing.
type page struct {
	w   io.Writer
	err error
}

func (p *page) printf(form string, values ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, form, values...)
	}
}

func (p *page) answering(row *explain.Row) {
	p.printf("\n%s  %s answered   %s\n", row.Name, row.Tag, place(row.File, row.Line))
	if row.Title != "" {
		p.printf("    %s\n", row.Title)
	}
	if len(row.Conditions) == 0 {
		p.printf("    because %s\n", row.Reason)
	}
	conditions := row.Conditions
	if len(conditions) == 1 && len(conditions[0].Because) > 0 {
		conditions = conditions[0].Because
	}
	for n, c := range conditions {
		word := "because"
		if n > 0 {
			word = "    and"
		}
		p.printf("    %s %s   %s\n", word, c.Reason, deepest(c))
	}
}

// deepest is the place of the condition that settles it.
func deepest(c explain.Condition) string {
	for alike(c.Because) {
		c = c.Because[0]
	}
	return place(c.File, c.Line)
}

// alike reports whether conditions all say the same.
func alike(all []explain.Condition) bool {
	for _, c := range all {
		if c.Reason != all[0].Reason {
			return false
		}
	}
	return len(all) > 0
}

func place(file string, line int) string {
	if file == "" {
		return ""
	}
	return fmt.Sprintf("%s:%d", file, line)
}

func (p *page) details(all []explain.Condition) {
	if len(all) == 0 || p.err != nil {
		return
	}
	p.printf("\nWhat shaped its answer\n")
	table := tabwriter.NewWriter(p.w, 0, 0, 2, ' ', 0)
	for _, c := range all {
		_, _ = fmt.Fprintf(table, "    %s\t%s\n", c.Reason, deepest(c))
	}
	p.err = table.Flush()
}

func (p *page) readings(heading string, all []explain.Reading) {
	if len(all) == 0 || p.err != nil {
		return
	}
	p.printf("\n%s\n", heading)
	table := tabwriter.NewWriter(p.w, 0, 0, 2, ' ', 0)
	for _, one := range all {
		_, _ = fmt.Fprintln(table, strings.TrimRight(fmt.Sprintf("    %s\t%s\t%s", one.Name, one.Shown(), one.Description), "\t"))
	}
	p.err = table.Flush()
}

// client tells what the client was taken for, and by what.
func (p *page) client(found *recognition.Identity) {
	if found != nil {
		p.printf("\nThe client\n    system   %s\n    browser  %s\n", found.System, found.Browser)
	}
}

// lists names each entry of the parameters that names the client, also those whose version is another.
func (p *page) lists(all []recognition.Match) {
	if len(all) == 0 {
		return
	}
	p.printf("\nLists that name the client\n")
	for _, m := range all {
		p.printf("    %s\n", m)
	}
}

// passkeys tells of each passkey in a line what holds it, and why it can or cannot be used from the client.
func (p *page) passkeys(all []detect.Reach) {
	if len(all) == 0 || p.err != nil {
		return
	}
	p.printf("\nPasskeys of the account\n")
	table := tabwriter.NewWriter(p.w, 0, 0, 2, ' ', 0)
	for _, one := range all {
		line := explain.InWords(one)
		_, _ = fmt.Fprintf(table, "    %s\t%s\t%s: %s [%s]\n", line.Credential, line.Held(), line.Where, line.Why, line.Reasons)
		for _, happened := range one.History {
			_, _ = fmt.Fprintf(table, "\t\t%s\n", happened)
		}
	}
	p.err = table.Flush()
}

func (p *page) above(rows []explain.Row) {
	if len(rows) == 0 || p.err != nil {
		return
	}
	p.printf("\nRows above it\n")
	table := tabwriter.NewWriter(p.w, 0, 0, 2, ' ', 0)
	for i := range rows {
		row := &rows[i]
		at := place(row.File, row.Line)
		if len(row.Conditions) > 0 {
			at = deepest(row.Conditions[0])
		}
		_, _ = fmt.Fprintf(table, "    %s\t%s\tdid not match: %s  %s\n", row.Name, row.Tag, row.Reason, at)
	}
	p.err = table.Flush()
}

// causes tells of the events that were counted, of what worked here, and of what would change the answer.
func (p *page) causes(found *causes.Found) {
	for _, section := range found.Sections() {
		p.printf("\n%s\n", section.Heading)
		for _, item := range section.Items {
			p.printf("    %s\n", item.Text)
			for _, one := range item.Events {
				p.printf("        %s\n", one)
			}
		}
	}
}
