// Package reportcmd is "keyward report": it tells what becomes of passkeys. It calls the Operator API, and changes nothing.
package reportcmd

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
)

// flags are what is asked for.
type flags struct {
	since, until, unit, by, at, form string
	series                           bool
	filter                           []string
}

// New returns the command.
func New(terminal command.Terminal) *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Tell what becomes of passkeys",
		Long: `Tells how often passkeys were offered, taken up, declined and used, of a time and by
any dimensions: project, action, route, rule, tag, os, browser, class, revision and arm.
With --at each group is told twice, before a moment and since, such as that of a release.

` + command.OperatorTokenHelp,
		Example: `  keyward report --since 720h --by os,browser
  keyward report --since 168h --at 2026-11-22T12:00:00Z --by rule
  keyward report --since 2160h --unit day --series -o csv > adoption.csv`,
		Args: command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd, terminal) },
	}
	set := cmd.Flags()
	set.StringVar(&f.since, "since", "168h", "from this `time`: 24h for a day ago, or RFC 3339")
	set.StringVar(&f.until, "until", "", "up to this `time`; empty = now")
	set.StringVar(&f.unit, "unit", "hour", "what is added up, and what a series is of: minute, hour or day")
	set.StringVar(&f.by, "by", "", "`dimensions` to group by, separated by commas")
	set.StringVar(&f.at, "at", "", "a `time` between two cohorts")
	set.BoolVar(&f.series, "series", false, "each unit by itself")
	set.StringArrayVar(&f.filter, "filter", nil, "only what has this, such as os=ios; repeatable")
	set.StringVarP(&f.form, "output", "o", "text", "form of the output: text, json or csv")
	command.OperatorFlags(set)
	return cmd
}

// query is what the server is asked.
func (f *flags) query(now time.Time) (url.Values, error) {
	q := url.Values{"unit": {f.unit}}
	for name, given := range map[string]string{"since": f.since, "until": f.until, "at": f.at} {
		if given == "" {
			continue
		}
		moment, err := command.Since(given, now)
		if err != nil {
			return nil, command.Usage(fmt.Errorf("--%s: must be a duration such as 24h or a time in the past such as 2026-11-22T12:00:00Z", name))
		}
		q.Set(name, moment.UTC().Format(time.RFC3339))
	}
	if f.by != "" {
		q.Set("by", f.by)
	}
	if f.series {
		q.Set("series", "true")
	}
	for _, filter := range f.filter {
		name, value, ok := strings.Cut(filter, "=")
		if !ok {
			return nil, command.Usage(fmt.Errorf("--filter: %q must be of the form dimension=value", filter))
		}
		q.Add("filter[]", name+":eq:"+value)
	}
	if f.form != "text" && f.form != "json" && f.form != "csv" {
		return nil, command.Usage(errors.New("--output: must be text, json or csv"))
	}
	return q, nil
}

func (f *flags) run(cmd *cobra.Command, terminal command.Terminal) error {
	query, err := f.query(time.Now())
	if err != nil {
		return err
	}
	server, err := command.FindOperatorAPI(cmd, terminal)
	if err != nil {
		return err
	}
	report, err := server.GetAdoption(cmd.Context(), query)
	if err != nil {
		return err
	}
	switch f.form {
	case "json":
		return command.WriteJSON(cmd, report)
	case "csv":
		out := csv.NewWriter(cmd.OutOrStdout())
		err := rows(&report, form{plain, func(text string) string { return text }}, out.Write)
		out.Flush()
		return errors.Join(err, out.Error())
	}
	return write(cmd.OutOrStdout(), &report)
}

// write prints a report for a person.
func write(w io.Writer, r *operator.AdoptionReport) error {
	if _, err := fmt.Fprintf(w, "From %s to %s\n\n", r.Since.Format(time.RFC3339), r.Until.Format(time.RFC3339)); err != nil {
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if err := rows(r, form{percent, command.Word}, func(cells []string) error {
		_, err := fmt.Fprintln(table, strings.Join(cells, "\t"))
		return err
	}); err != nil {
		return err
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%d users have %d passkeys\n", r.Passkeys.Users, r.Passkeys.Passkeys)
	if err == nil && r.Coverage.Others > 0 {
		_, err = fmt.Fprintf(w, "%d were counted as other: there were too many kinds in a day\n", r.Coverage.Others)
	}
	return err
}

// form is how rates and words are written.
type form struct {
	share func(*float64) string
	word  func(string) string
}

// rows hands over a heading and a row for each group.
func rows(r *operator.AdoptionReport, as form, write func([]string) error) error {
	var heading []string
	if len(r.Groups) > 0 && r.Groups[0].Start != nil {
		heading = append(heading, "start")
	}
	if len(r.Groups) > 0 && r.Groups[0].Cohort != nil {
		heading = append(heading, "cohort")
	}
	lead := len(heading)
	heading = append(append(heading, r.By...),
		"asked", "offered", "started", "completed", "declined", "failed", "fell_back", "success", "passkey_share", "phone_share",
		"p50_ms", "p90_ms",
		"creations_offered", "created", "creations_declined", "creations_failed", "creation_rate", "other_means")
	if err := write(heading); err != nil {
		return err
	}
	for _, g := range r.Groups {
		cells := make([]string, 0, len(heading))
		if g.Start != nil {
			cells = append(cells, g.Start.Format(time.RFC3339))
		}
		if g.Cohort != nil {
			cells = append(cells, string(*g.Cohort))
		}
		for _, name := range heading[lead : lead+len(r.By)] {
			cells = append(cells, as.word(g.Of[name]))
		}
		l, c := g.Logins, g.Creations
		cells = append(cells, numbers(l.Asked, l.Offered, l.Started, l.Completed, l.Declined, l.Failed, l.FellBack)...)
		cells = append(cells, as.share(l.SuccessRate), as.share(g.PasskeyShare), as.share(g.PhoneShare))
		if g.TimeToSignIn != nil {
			cells = append(cells, numbers(g.TimeToSignIn.P50, g.TimeToSignIn.P90)...)
		} else {
			cells = append(cells, as.share(nil), as.share(nil))
		}
		cells = append(cells, numbers(c.Offered, c.Completed, c.Declined, c.Failed)...)
		cells = append(append(cells, as.share(c.CompletionRate)), numbers(g.OtherMeans)...)
		if err := write(cells); err != nil {
			return err
		}
	}
	return nil
}

func numbers(all ...int64) []string {
	texts := make([]string, len(all))
	for i, n := range all {
		texts[i] = strconv.FormatInt(n, 10)
	}
	return texts
}

// percent is a rate for a person, plain one for programs; absent ones are a dash and empty.
func percent(rate *float64) string {
	if rate == nil {
		return "-"
	}
	const hundred = 100
	return strconv.FormatFloat(*rate*hundred, 'f', 1, 64) + " %"
}

func plain(rate *float64) string {
	if rate == nil {
		return ""
	}
	return strconv.FormatFloat(*rate, 'f', 4, 64)
}
