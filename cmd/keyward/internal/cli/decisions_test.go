package cli_test

import (
	"context"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/open-policy-agent/opa/v1/plugins/logs"

	"github.com/keyward/keyward/cmd/keyward/internal/cli"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/core/telemetry"
)

func TestDecisionsAreFoundAmongThemThoseThatDenied(t *testing.T) {
	t.Parallel()
	environ, greeting := server(t)
	api := firstProject(t, environ, greeting)
	grace, alan := decline(t, api, 4), decline(t, api, 1)
	decisions := func(args ...string) result {
		t.Helper()
		return run(t, environ, append([]string{"decisions"}, args...)...)
	}
	eventually(t, "the decisions are not recorded", func() bool { return strings.Count(decisions("list").out, "append") == 5 })

	const tag = "process-pk-login-not-offered"
	for name, c := range map[string]struct {
		flags []string
		want  int
	}{
		"all":                            {nil, 5},
		"about one user":                 {[]string{"--user", grace}, 4},
		"about another":                  {[]string{"--user", alan}, 1},
		"those that allowed":             {[]string{"--allow"}, 4},
		"those that did not":             {[]string{"--allow=false"}, 1},
		"those of a user that did not":   {[]string{"--user", alan, "--allow=false"}, 0},
		"of a tag":                       {[]string{"--tag", tag}, 5},
		"of a tag that none has":         {[]string{"--tag", "default-deny"}, 0},
		"of one of two tags":             {[]string{"--tag", tag, "--tag", "default-deny"}, 5},
		"about logins":                   {[]string{"--action", "login"}, 0},
		"of a project that has none":     {[]string{"--project", "pro-77"}, 0},
		"of the last hour":               {[]string{"--since", "1h"}, 5},
		"since now":                      {[]string{"--since", "0s"}, 0},
		"the newest two":                 {[]string{"--limit", "2"}, 2},
		"as many as there are":           {[]string{"--limit", "0"}, 5},
		"the newest of those that allow": {[]string{"--limit", "1", "--allow"}, 1},
	} {
		table, asJSON := decisions(append([]string{"list"}, c.flags...)...), decisions(append([]string{"list", "--json"}, c.flags...)...)
		if got := lines(table.out); table.code != cli.ExitOK || len(got) != 1+c.want || !strings.HasPrefix(got[0], "MADE ") {
			t.Errorf("%s: %d lines, want %d: %+v", name, len(got)-1, c.want, table)
		}
		if got := lines(asJSON.out); len(got) != c.want {
			t.Errorf("%s: %d records, want %d", name, len(got), c.want)
		}
	}

	newest := lines(decisions("list", "--limit", "1").out)[1]
	if !strings.Contains(newest, alan+"  append  yes") || !strings.Contains(newest, tag) {
		t.Errorf("the newest is %s", newest)
	}
	denied := regexp.MustCompile(`dec-\d{25}`).FindString(decisions("list", "--allow=false").out)
	var record struct {
		ID, User string
		Allow    bool
		Question struct {
			Client struct{ RemoteAddress string }
		}
	}
	shown := decisions("show", "--user", grace, "--json")
	if err := json.Unmarshal([]byte(shown.out), &record); err != nil || record.ID != denied || record.User != grace || record.Allow ||
		record.Question.Client.RemoteAddress != "203.0.113.0/24" {
		t.Errorf("the newest about Grace is not %s: %v %+v", denied, err, shown)
	}
	for how, args := range map[string][]string{
		"by its ID": {"show", denied}, "as the newest that denied": {"show", "--allow=false"},
		"as the newest about her": {"show", "--user", grace},
	} {
		shown := decisions(args...)
		for _, want := range []string{
			"decision  " + denied, "user      " + grace, "answer    allow no,", "    nudges.default.declines ", "    reason ",
			"Risk, which was told and not enforced\n", "    level ", "Why: keyward policy explain " + denied,
		} {
			if shown.code != cli.ExitOK || !strings.Contains(shown.out, want) {
				t.Errorf("shown %s, it lacks %q: %+v", how, want, shown)
			}
		}
	}
	if why := run(
		t, environ, "policy", "explain", "--user", grace, "--last",
	); why.code != cli.ExitOK ||
		!strings.Contains(why.out, "decision  "+denied) {
		t.Errorf("the last of Grace, explained: %+v", why)
	}
	if why := run(t, environ, "policy", "explain", "--last"); why.code != cli.ExitOK || !strings.Contains(why.out, "user      "+alan) {
		t.Errorf("the last of all, explained: %+v", why)
	}
	if none := run(
		t, environ, "policy", "explain", "--user", "usr-7", "--last",
	); none.code != cli.ExitFailure ||
		!strings.Contains(none.err, "no such decision is recorded") {
		t.Errorf("the last of nobody, explained: %+v", none)
	}
	tailed(t, environ, func() { decline(t, api, 1) })
	lookedThrough(t, environ, grace)
	tailed(t, environ, func() { decline(t, api, 1) }, operatorURL(environ)...)
	loggedAsOPADoes(t, environ, denied)
}

// loggedAsOPADoes reads the seven decisions that there are then, one of which denied.
func loggedAsOPADoes(t *testing.T, environ []string, denied string) {
	t.Helper()
	log := func(args ...string) []logs.EventV1 {
		t.Helper()
		got := run(t, environ, append([]string{"decisions", "log"}, args...)...)
		if got.code != cli.ExitOK {
			t.Errorf("%v: %+v", args, got)
		}
		all := []logs.EventV1{}
		for _, line := range lines(got.out) {
			var e logs.EventV1
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			all = append(all, e)
		}
		return all
	}
	all := log()
	at := slices.IndexFunc(all, func(e logs.EventV1) bool { return e.DecisionID == denied })
	if len(all) != 7 || at < 0 || all[at].Path != "keyward/append/decision" || all[at].Input == nil || all[at].Custom["allow"] != false ||
		all[at].Bundles["keyward"].Revision == "" || (*all[at].Result).(map[string]any)["rule"] != all[at].Custom["rule"] {
		t.Fatalf("%d, the one that denied is %d: %+v", len(all), at, all)
	}
	position := func(n int) string { return all[n].Custom["position"].(string) }
	for name, c := range map[string]struct {
		args        []string
		first, most int
	}{
		"the oldest two":   {[]string{"--limit", "2"}, 0, 2},
		"those after one":  {[]string{"--after", position(2)}, 3, 4},
		"of the last hour": {[]string{"--since", "1h", "--limit", "3"}, 0, 3},
		"before an hour":   {[]string{"--until", "1h"}, 0, 0},
	} {
		if got := log(c.args...); len(got) != c.most || len(got) > 0 && got[0].DecisionID != all[c.first].DecisionID {
			t.Errorf("%s: %+v", name, got)
		}
	}
	for flag, value := range map[string]string{"--until": "tomorrow", "--limit": "-1"} {
		if got := run(t, environ, "decisions", "log", flag, value); got.code != cli.ExitUsage || !strings.Contains(got.err, flag) {
			t.Errorf("%s: %+v", flag, got)
		}
	}
}

// operatorURL is the flag that has commands ask the server.
func operatorURL(environ []string) []string {
	for _, v := range environ {
		if addr, ok := strings.CutPrefix(v, "KEYWARD_HTTP_ADDR="); ok {
			return []string{"--operator-url", "http://" + addr}
		}
	}
	return nil
}

// lookedThrough asks the index for the six decisions that there are, and for the one that denied.
func lookedThrough(t *testing.T, environ []string, grace string) {
	t.Helper()
	decisions := func(args ...string) result {
		t.Helper()
		return run(t, environ, slices.Concat([]string{"decisions"}, args, operatorURL(environ))...)
	}
	eventually(t, "the decisions are not indexed", func() bool { return strings.Count(decisions("list").out, "append") == 6 })
	for name, c := range map[string]struct {
		flags []string
		want  int
	}{
		"all": {nil, 6}, "about one user": {[]string{"--user", grace}, 4}, "those that did not allow": {[]string{"--allow=false"}, 1},
		"of one of two tags": {[]string{"--tag", "process-pk-login-not-offered", "--tag", "default-deny"}, 6},
		"the newest two":     {[]string{"--limit", "2"}, 2},
		"of the last hour":   {[]string{"--since", "1h"}, 6},
		"since now":          {[]string{"--since", "0s"}, 0},
		"of a revision":      {[]string{"--revision", "none"}, 0},
		"all there are":      {[]string{"--limit", "0"}, 6},
		"by a verdict":       {[]string{"--verdict", "deny"}, 0},
		"of a device":        {[]string{"--device", "desktop"}, 6},
	} {
		table, asJSON := decisions(append([]string{"list"}, c.flags...)...), decisions(append([]string{"list", "--json"}, c.flags...)...)
		if got := lines(table.out); table.code != cli.ExitOK || len(got) != 1+c.want || len(lines(asJSON.out)) != c.want {
			t.Errorf("%s: %d lines, want %d: %+v", name, len(got)-1, c.want, table)
		}
	}
	shown := decisions("show", "--allow=false")
	direct := run(t, environ, "decisions", "show", "--allow=false")
	if shown.code != cli.ExitOK || shown.out != direct.out || !strings.Contains(shown.out, "user      "+grace) {
		t.Errorf("shown by the server:\n%+v\nby its records:\n%+v", shown, direct)
	}
	if none := decisions("show", "dec-1795348800000123456789012"); none.code != cli.ExitFailure || !strings.Contains(none.err, "404") {
		t.Errorf("%+v", none)
	}
}

// tailed follows the decisions about appending that are made from an hour ago on, until one more than the five that there are has come.
func tailed(t *testing.T, environ []string, more func(), flags ...string) {
	t.Helper()
	before := 5
	if len(flags) > 0 {
		before = 6
	}
	ctx, stop := context.WithCancel(t.Context())
	out, errs := &screen{}, &screen{}
	var following sync.WaitGroup
	following.Go(func() {
		terminal := command.Terminal{In: strings.NewReader(""), Out: out, Err: errs, Environ: environ}
		if code := cli.Run(
			ctx, append([]string{"decisions", "tail", "--since", "1h", "--action", "append"}, flags...), terminal, telemetry.Build{},
		); code != cli.ExitOK {
			t.Errorf("tail ended with %d: %s", code, errs.String())
		}
	})
	eventually(t, "what was decided before was not told", func() bool { return strings.Count(out.String(), "  append ") == before })
	more()
	eventually(t, "what is decided now was not told", func() bool { return strings.Count(out.String(), "  append ") == before+1 })
	stop()
	following.Wait()
}

func TestWhatNamesNoDecisionIsRefusedBeforeAnythingIsTried(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"a field of the index, of the records": {[]string{"decisions", "list", "--rule", "L1"}, "--rule: needs --operator-url"},
		"no project":                           {[]string{"decisions", "list", "--project", "x"}, "--project: must be of the form pro-<number>"},
		"no user":                              {[]string{"decisions", "tail", "--user", "ada"}, "--user: must be of the form usr-<number>"},
		"no action": {
			[]string{"decisions", "list", "--action", "logout"}, "--action: must be login, append, mediation, rollout or risk",
		},
		"no time":                      {[]string{"decisions", "show", "--since", "yesterday"}, "--since: must be a duration"},
		"fewer than none":              {[]string{"decisions", "list", "--limit", "-1"}, "--limit must not be negative"},
		"no decision ID":               {[]string{"decisions", "show", "7"}, "copy it from the response header X-Keyward-Decision-ID"},
		"two decision IDs":             {[]string{"decisions", "show", "dec-1", "dec-2"}, "needs one argument"},
		"an ID and a user":             {[]string{"decisions", "show", "dec-1", "--user", "usr-1"}, "not both"},
		"an ID and the last":           {[]string{"policy", "explain", "dec-1", "--last"}, "give the decision ID, or --last"},
		"a user and nothing of theirs": {[]string{"policy", "explain", "--user", "usr-1"}, "give the decision ID, or --last"},
		"an argument":                  {[]string{"decisions", "list", "all"}, `unknown argument "all"`},
	} {
		if r := run(t, nil, append(c.args, "--data-dir", t.TempDir())...); r.code != cli.ExitUsage || !strings.Contains(r.err, c.says) {
			t.Errorf("%s: got %d %q, want %q", name, r.code, r.err, c.says)
		}
	}
}
