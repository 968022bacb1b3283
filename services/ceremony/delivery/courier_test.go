package delivery_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/secret"
	"github.com/keyward/keyward/services/ceremony/delivery"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const value = "491625"

func code() delivery.Message {
	return delivery.Message{
		Project: "pro-1", User: "usr-2", ID: "cha-3", Type: rest.ChallengeTypeEmailOtp, Sender: "Shop", To: "ada@example.org",
		Value: value, Expires: time.Now().Add(5 * time.Minute), Lifetime: 5 * time.Minute,
	}
}

const token = "AbCdEfGhIjKlMnOpQrStUvWxYz0123456789AbCd"

func link() delivery.Message {
	m := code()
	m.Type, m.Value, m.Link = rest.ChallengeTypeEmailLink, token, "https://shop.example.com/in?a=1&challengeID=cha-3&token="+token
	return m
}

func newCourier(t *testing.T, cfg delivery.Config, deps delivery.Deps) *delivery.Courier {
	t.Helper()
	deps.Now, deps.Metrics = time.Now, prometheus.NewPedanticRegistry()
	c, err := delivery.New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// wantUnavailable checks that the message was not delivered and that the error tells no secret.
func wantUnavailable(t *testing.T, err error, uncertain bool) {
	t.Helper()
	var f *fault.Fault
	if !errors.As(err, &f) || f.Status != http.StatusServiceUnavailable {
		t.Fatalf("got %v, want 503", err)
	}
	if got := delivery.Uncertain(err); got != uncertain {
		t.Errorf("%v: uncertain is %t, want %t", err, got, uncertain)
	}
	for _, hidden := range []string{value, token, "hunter2", "?key="} {
		if strings.Contains(err.Error(), hidden) {
			t.Errorf("the error tells a secret: %v", err)
		}
	}
}

func TestTheOutboxPrintsWhatItTakesAndSaysWhatItIs(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	c := newCourier(t, delivery.DefaultConfig(), delivery.Deps{Out: &out})
	for _, m := range []delivery.Message{code(), link()} {
		if err := c.Deliver(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], "code "+value) || !strings.Contains(lines[1], link().Link) {
		t.Errorf("printed %q", lines)
	}
	for _, line := range lines {
		if !strings.HasPrefix(line, "[development outbox] ") || !strings.Contains(line, `"ada@example.org"`) {
			t.Errorf("printed %q", line)
		}
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestAnOutboxThatCannotPrintTakesNothing(t *testing.T) {
	t.Parallel()
	c := newCourier(t, delivery.DefaultConfig(), delivery.Deps{Out: brokenWriter{}})
	wantUnavailable(t, c.Deliver(t.Context(), code()), false)
}

func TestADeliveryThatIsOffRefuses(t *testing.T) {
	t.Parallel()
	c := newCourier(t, delivery.Config{Kind: delivery.Off, Timeout: time.Second}, delivery.Deps{})
	err := c.Deliver(t.Context(), code())
	wantUnavailable(t, err, false)
	if f := fault.As(err); !strings.Contains(f.Details, "is off") {
		t.Errorf("details %q", f.Details)
	}
}

// gate is an outbox that writes when it is opened.
type gate struct{ open, entered chan struct{} }

func (g gate) Write(p []byte) (int, error) {
	g.entered <- struct{}{}
	<-g.open
	return len(p), nil
}

func TestMoreThanAFewAtOnceAreRefused(t *testing.T) {
	t.Parallel()
	const atOnce = 64
	g := gate{open: make(chan struct{}), entered: make(chan struct{}, 2*atOnce)}
	c := newCourier(t, delivery.DefaultConfig(), delivery.Deps{Out: g})
	var under sync.WaitGroup
	results := make(chan error, 2*atOnce)
	for range 2 * atOnce {
		under.Go(func() { results <- c.Deliver(context.Background(), code()) })
	}
	for range atOnce {
		wantUnavailable(t, <-results, false)
	}
	close(g.open)
	under.Wait()
	for range atOnce {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}

func TestSettingsAreChecked(t *testing.T) {
	t.Parallel()
	whsec := secret.Text("whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 32)))
	smtp := func(url, from string) delivery.Config {
		return delivery.Config{Kind: delivery.SMTP, SMTPURL: secret.Text(url), SMTPFrom: from, Timeout: time.Second}
	}
	hook := func(url string, key secret.Text) delivery.Config {
		return delivery.Config{Kind: delivery.Webhook, WebhookURL: secret.Text(url), WebhookSecret: key, Timeout: time.Second}
	}
	const from = "Shop <no-reply@example.com>"
	for name, c := range map[string]struct {
		cfg  delivery.Config
		want []string // settings that are complained of
	}{
		"the default":                    {delivery.DefaultConfig(), nil},
		"an unknown kind":                {delivery.Config{Kind: "pigeon", Timeout: time.Second}, []string{"delivery"}},
		"no kind":                        {delivery.Config{Timeout: time.Second}, []string{"delivery"}},
		"no time":                        {delivery.Config{Kind: delivery.Off}, []string{"delivery_timeout"}},
		"too much time":                  {delivery.Config{Kind: delivery.Off, Timeout: time.Hour}, []string{"delivery_timeout"}},
		"STARTTLS":                       {smtp("smtp://mail.example.com", from), nil},
		"TLS with a port and a login":    {smtp("smtps://ada:hunter2@mail.example.com:4650", "no-reply@example.com"), nil},
		"no TLS":                         {smtp("smtp+plain://127.0.0.1:1025/", from), nil},
		"nothing for SMTP":               {smtp("", ""), []string{"smtp_url", "smtp_from"}},
		"another scheme":                 {smtp("https://mail.example.com", from), []string{"smtp_url"}},
		"no host":                        {smtp("smtp://:25", from), []string{"smtp_url"}},
		"a host alone":                   {smtp("mail.example.com:25", from), []string{"smtp_url"}},
		"a path":                         {smtp("smtp://mail.example.com/x", from), []string{"smtp_url"}},
		"a query":                        {smtp("smtp://mail.example.com?tls=no", from), []string{"smtp_url"}},
		"port 0":                         {smtp("smtp://mail.example.com:0", from), []string{"smtp_url"}},
		"a port out of range":            {smtp("smtp://mail.example.com:65536", from), []string{"smtp_url"}},
		"a user without a password":      {smtp("smtp://hunter2@mail.example.com", from), []string{"smtp_url"}},
		"a URL that is none":             {smtp("smtp://hunter2@mail example.com:%zz", from), []string{"smtp_url"}},
		"a sender that is no address":    {smtp("smtp://mail.example.com", "Shop"), []string{"smtp_from"}},
		"a sender with a header in it":   {smtp("smtp://mail.example.com", "a@example.com\r\nBcc: b@example.com"), []string{"smtp_from"}},
		"a webhook":                      {hook("https://hooks.example.com/codes?key=hunter2", whsec), nil},
		"a webhook in a private network": {hook("http://10.0.0.1:8080/codes", whsec), nil},
		"nothing for the webhook":        {hook("", ""), []string{"delivery_webhook_url", "delivery_webhook_secret"}},
		"a webhook of another scheme":    {hook("ftp://hooks.example.com", whsec), []string{"delivery_webhook_url"}},
		"a webhook without a host":       {hook("https:///codes", whsec), []string{"delivery_webhook_url"}},
		"a webhook with a fragment":      {hook("https://hooks.example.com/#hunter2", whsec), []string{"delivery_webhook_url"}},
		"a secret that is not base64":    {hook("https://hooks.example.com", "whsec_hunter2!"), []string{"delivery_webhook_secret"}},
		"a secret that is short":         {hook("https://hooks.example.com", "whsec_aHVudGVyMg=="), []string{"delivery_webhook_secret"}},
		"a secret that is longer than 64": {
			hook("https://hooks.example.com", secret.Text(base64.StdEncoding.EncodeToString(make([]byte, 65)))),
			[]string{"delivery_webhook_secret"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := c.cfg.Validate()
			var got []string
			if err != nil {
				for line := range strings.SplitSeq(err.Error(), "\n") {
					setting, _, _ := strings.Cut(line, ":")
					got = append(got, setting)
				}
				if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "aHVudGVyMg") {
					t.Errorf("the error tells a secret: %v", err)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("complained of (-want +got):\n%s\n%v", diff, err)
			}
			if _, newErr := delivery.New(c.cfg, delivery.Deps{Now: time.Now, Metrics: prometheus.NewRegistry()}); (newErr == nil) != (err == nil) {
				t.Errorf("New: %v, Validate: %v", newErr, err)
			}
		})
	}
}
