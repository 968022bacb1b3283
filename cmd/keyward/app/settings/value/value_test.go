package value_test

import (
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/keyward/keyward/cmd/keyward/app/settings/value"
	"github.com/keyward/keyward/core/ratelimit"
	"github.com/keyward/keyward/core/secret"
)

func TestWhatAValueShowsCanBeSetAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		value pflag.Value
		text  string
		shown string // empty = as it is written
	}{
		"a duration without units that are zero": {value.Duration{P: new(time.Second)}, "720h0m0s", "720h"},
		"a duration of several units":            {value.Duration{P: new(time.Second)}, "1h0m5s", ""},
		"a duration whose zero has a name":       {value.Duration{P: new(time.Second), Zero: "forever"}, "forever", ""},
		"zero, by the number":                    {value.Duration{P: new(time.Second), Zero: "forever"}, "0", "forever"},
		"a size":                                 {value.Bytes[int64]{P: new(int64)}, "4096", "4.0KiB"},
		"no bound":                               {value.Bound{P: new(int64(1)), None: "unbounded"}, "unbounded", ""},
		"a bound":                                {value.Bound{P: new(int64(1)), None: "unbounded"}, "2GiB", "2.0GiB"},
		"a list with blanks":                     {value.List{P: new([]string)}, " a, ,b", "a,b"},
		"a URL with a password":                  {value.URL{P: new(secret.Text)}, "nats://u:p@host:4222", "nats://u:********@host:4222"},
		"a level":                                {value.Level{P: new(slog.Level)}, "WARN", "warn"},
		"text":                                   {value.Text{P: new(string)}, "as it is ", ""},
		"a number":                               {value.Int{P: new(int)}, "-7", ""},
		"a number that is found out":             {value.Count{P: new(int), None: -1, Word: "auto"}, "auto", ""},
		"a number that need not be":              {value.Count{P: new(int), None: -1, Word: "auto"}, "0", ""},
		"a switch":                               {value.Bool{P: new(bool)}, "true", ""},
		"a limit":                                {value.Limit{P: new(ratelimit.Limit)}, "20000/10s", ""},
		"networks, an address among them": {
			value.Networks{P: new([]netip.Prefix)}, "10.1.2.3/8, 192.0.2.1,2001:db8::1", "10.0.0.0/8,192.0.2.1/32,2001:db8::1/128",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := c.value.Set(c.text); err != nil {
				t.Fatal(err)
			}
			want := c.shown
			if want == "" {
				want = c.text
			}
			shown := c.value.String()
			if shown != want {
				t.Errorf("shown is %q, want %q", shown, want)
			}
			if _, masked := c.value.(interface{ Reveal() string }); masked {
				return
			}
			if err := c.value.Set(shown); err != nil || c.value.String() != shown {
				t.Errorf("set again it is %q, %v", c.value, err)
			}
		})
	}
}

func TestASecretIsHiddenAndKept(t *testing.T) {
	t.Parallel()
	v := value.Secret{P: new(secret.Text)}
	if err := v.Set("very secret"); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(v.String(), "secret") || v.Reveal() != "very secret" {
		t.Errorf("it shows as %q and is %q", v, v.Reveal())
	}
}

func TestWhatIsRefusedChangesNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		value pflag.Value
		text  string
		want  string // in the complaint
	}{
		"a duration without a unit":     {value.Duration{P: new(time.Second)}, "10", "must be a duration"},
		"a duration before":             {value.Duration{P: new(time.Second)}, "-1s", "must not be negative"},
		"the name of another's zero":    {value.Duration{P: new(time.Second), Zero: "never"}, "forever", "must be a duration"},
		"a size that is none":           {value.Bytes[int]{P: new(7)}, "big", "must be a size"},
		"a size beyond numbers":         {value.Bytes[int]{P: new(7)}, "8EiB", "must be a size"},
		"a bound that is none":          {value.Bound{P: new(int64(7)), None: "unbounded"}, "none", "or unbounded"},
		"a level that there is not":     {value.Level{P: new(slog.LevelWarn)}, "loud", "debug, info, warn or error"},
		"a number with a fraction":      {value.Int{P: new(7)}, "1.5", "whole number"},
		"a switch by another name":      {value.Bool{P: new(true)}, "yes", "true or false"},
		"a limit without a time":        {value.Limit{P: new(ratelimit.Limit)}, "20000", ""},
		"a network that is none":        {value.Networks{P: new([]netip.Prefix)}, "10.0.0.0/8,host", `"host" must be a network`},
		"a network of too many figures": {value.Networks{P: new([]netip.Prefix)}, "10.0.0.0/33", "must be a network"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := c.value.String()
			err := c.value.Set(c.text)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want a complaint with %q", err, c.want)
			}
			if after := c.value.String(); after != before {
				t.Errorf("it was %q and is %q", before, after)
			}
		})
	}
}
