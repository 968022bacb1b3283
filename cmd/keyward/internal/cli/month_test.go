package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	api "github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/cmd/keyward/internal/cli"
)

// What is reported of a month is what a count over its decisions and events gives, and it is spread over the month.
func TestAMonthOfPeopleIsReportedAsItWas(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "month")
	filled := run(t, nil, "demo", "--users", "60", "--days", "30", "--data-dir", dir)
	if filled.code != cli.ExitOK {
		t.Fatalf("%+v", filled)
	}
	const form = `60 people came (\d+) times in 30 days: (\d+) logins with a passkey, (\d+) by password, (\d+) passkeys\s+created`
	said := regexp.MustCompile(form).FindStringSubmatch(filled.out)
	if said == nil {
		t.Fatal(filled.out)
	}
	number := func(i int) int64 {
		n, err := strconv.ParseInt(said[i], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if again := run(t, nil, "demo", "--users", "60", "--days", "30", "--data-dir", dir); again.code != cli.ExitUsage ||
		!strings.Contains(again.err, "holds something already") {
		t.Errorf("over what is there: %+v", again)
	}
	token, err := os.ReadFile(filepath.Join(dir, "operator-token"))
	if err != nil {
		t.Fatal(err)
	}
	environ, _ := server(t, "KEYWARD_DATA_DIR="+dir)
	environ = append(environ, "KEYWARD_OPERATOR_TOKEN="+strings.TrimSpace(string(token)))
	url := "http://" + setting(t, environ, "KEYWARD_HTTP_ADDR")
	var report api.AdoptionReport
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); <-time.After(50 * time.Millisecond) {
		got := run(t, environ, "report", "--unit", "day", "--since", "750h", "-o", "json", "--operator-url", url)
		if err := json.Unmarshal([]byte(got.out), &report); err != nil {
			t.Fatalf("%v: %+v", err, got)
		}
		if len(report.Groups) == 1 && report.Groups[0].Logins.Asked >= number(1) {
			break
		}
	}
	of := report.Groups[0]
	if of.Logins.Completed != number(2) || of.OtherMeans != number(3) || of.Creations.Completed != number(4) ||
		report.Passkeys.Passkeys != number(4) {
		t.Errorf("reported are %+v of which was said %q", of, said[0])
	}
	days, asked := map[string]bool{}, int64(0)
	for line := range strings.Lines(run(t, environ, "decisions", "list", "--action", "login", "--limit", "0", "--json").out) {
		var decision struct{ Time time.Time }
		if err := json.Unmarshal([]byte(line), &decision); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		asked++
		days[decision.Time.Format(time.DateOnly)] = true
	}
	if asked != of.Logins.Asked || len(days) < 25 {
		t.Errorf("%d logins were decided on %d days, and %d are reported", asked, len(days), of.Logins.Asked)
	}
	if history := run(t, environ, "policy", "history", "--operator-url", url); !strings.Contains(history.out, "rollback") {
		t.Errorf("the release was not taken back: %+v", history)
	}
}

func TestAMonthIsRefusedWhereItCannotPass(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"without people":      {[]string{"--days", "30"}, "--users"},
		"without a day":       {[]string{"--days", "0", "--users", "5"}, "between 1 and"},
		"for years":           {[]string{"--days", "900", "--users", "5"}, "between 1 and"},
		"at a running server": {[]string{"--days", "3", "--users", "5", "--url", "http://127.0.0.1:1"}, "does not run"},
		"on another NATS":     {[]string{"--days", "3", "--users", "5", "--nats-url", "nats://127.0.0.1:1"}, "nats_url"},
	} {
		got := run(t, nil, append([]string{"demo", "--data-dir", t.TempDir()}, c.args...)...)
		if got.code != cli.ExitUsage || !strings.Contains(got.err, c.want) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
