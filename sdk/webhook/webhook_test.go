package webhook_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/keyward/keyward/sdk/webhook"
)

// The example of the Standard Webhooks specification.
const (
	secret    = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	id        = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	stamp     = "1614265330"
	signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	body      = `{"test": 2432232314}`
)

var other = "whsec_" + base64.StdEncoding.EncodeToString([]byte("another secret of some length"))

func at(seconds int64) webhook.Options {
	return webhook.Options{Now: func() time.Time { return time.Unix(seconds, 0) }}
}

func delivery(changes map[string]string) http.Header {
	header := http.Header{}
	header.Set(webhook.HeaderID, id)
	header.Set(webhook.HeaderTimestamp, stamp)
	header.Set(webhook.HeaderSignature, signature)
	for name, value := range changes {
		header.Set(name, value)
	}
	return header
}

func signed(secret, id, stamp, body string) string {
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	mac := hmac.New(sha256.New, key)
	_, _ = io.WriteString(mac, id+"."+stamp+"."+body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func TestVerify(t *testing.T) {
	t.Parallel()
	const now = 1614265330
	for name, c := range map[string]struct {
		now     int64
		secrets []string
		headers map[string]string
		body    string
		want    error
	}{
		"the specification's example":    {want: nil},
		"without the secret's prefix":    {secrets: []string{strings.TrimPrefix(secret, "whsec_")}, want: nil},
		"the second of two secrets":      {secrets: []string{other, secret}, want: nil},
		"the second of two signatures":   {headers: map[string]string{webhook.HeaderSignature: "v1,AAAA " + signature}, want: nil},
		"beside a scheme of the future":  {headers: map[string]string{webhook.HeaderSignature: "v2,AAAA v1a,AAAA " + signature}, want: nil},
		"just new enough":                {now: now + 300, want: nil},
		"just not too far ahead":         {now: now - 300, want: nil},
		"too old":                        {now: now + 301, want: webhook.ErrTime},
		"too far ahead":                  {now: now - 301, want: webhook.ErrTime},
		"another secret":                 {secrets: []string{other}, want: webhook.ErrSignature},
		"another body":                   {body: body + " ", want: webhook.ErrSignature},
		"another ID":                     {headers: map[string]string{webhook.HeaderID: "msg_2"}, want: webhook.ErrSignature},
		"another time":                   {headers: map[string]string{webhook.HeaderTimestamp: "1614265331"}, want: webhook.ErrSignature},
		"a signature without its scheme": {headers: map[string]string{webhook.HeaderSignature: signature[3:]}, want: webhook.ErrSignature},
		"a signature of another scheme": {
			headers: map[string]string{webhook.HeaderSignature: "v2" + signature[2:]},
			want:    webhook.ErrSignature,
		},
		"a part of the signature": {headers: map[string]string{webhook.HeaderSignature: "v1,g0hM"}, want: webhook.ErrSignature},
		"an empty signature":      {headers: map[string]string{webhook.HeaderSignature: "v1,"}, want: webhook.ErrSignature},
		"a flood of signatures": {
			headers: map[string]string{webhook.HeaderSignature: strings.Repeat("v1,AAAA ", 1000) + signature},
			want:    webhook.ErrSignature,
		},
		"no ID":                    {headers: map[string]string{webhook.HeaderID: ""}, want: webhook.ErrIncomplete},
		"no time":                  {headers: map[string]string{webhook.HeaderTimestamp: ""}, want: webhook.ErrIncomplete},
		"no signature":             {headers: map[string]string{webhook.HeaderSignature: ""}, want: webhook.ErrIncomplete},
		"a time that is no number": {headers: map[string]string{webhook.HeaderTimestamp: "now"}, want: webhook.ErrIncomplete},
		"a time beyond all numbers": {
			headers: map[string]string{webhook.HeaderTimestamp: "99999999999999999999"},
			want:    webhook.ErrIncomplete,
		},
		"the last time that there can be": {headers: map[string]string{webhook.HeaderTimestamp: "9223372036854775807"}, want: webhook.ErrTime},
		"the first one":                   {headers: map[string]string{webhook.HeaderTimestamp: "-9223372036854775808"}, want: webhook.ErrTime},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.now == 0 {
				c.now = now
			}
			if c.secrets == nil {
				c.secrets = []string{secret}
			}
			if c.body == "" {
				c.body = body
			}
			v, err := webhook.New(at(c.now), c.secrets...)
			if err != nil {
				t.Fatal(err)
			}
			if err := v.Verify(delivery(c.headers), []byte(c.body)); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestNewRefusesWhatIsNoSecretAndDoesNotShowIt(t *testing.T) {
	t.Parallel()
	for _, secrets := range [][]string{{}, {""}, {"whsec_"}, {"whsec_not base64"}, {secret, "hunter2!"}} {
		_, err := webhook.New(webhook.Options{}, secrets...)
		if !errors.Is(err, webhook.ErrSecret) {
			t.Errorf("%q: %v", secrets, err)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error shows the secret: %v", err)
		}
	}
	if _, err := webhook.New(webhook.Options{Tolerance: -1}, secret); err == nil {
		t.Error("a tolerance below zero was taken")
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	p, err := webhook.Parse(
		[]byte(
			`{"type":"user.created","timestamp":"2026-11-24T16:00:00.123000000Z","data":{"userID":"usr-1","eventType":"user-created"},"more":1}`,
		),
	)
	if err != nil || p.Type != "user.created" || p.Data.UserID != "usr-1" || p.Data.EventType != "user-created" ||
		p.Timestamp.UnixMilli()%1000 != 123 {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := webhook.Parse([]byte(`{`)); err == nil {
		t.Error("half a body was read")
	}
}

// Whatever the headers and the body are: what was signed verifies, and nothing else does.
func FuzzVerify(f *testing.F) {
	f.Add(id, stamp, signature, body)
	f.Add("", "", "", "")
	f.Add("a b", "1614265330", "v1,==== v1, v1,,", "\x00")
	f.Fuzz(func(t *testing.T, id, stamp, signatures, body string) {
		v, err := webhook.New(at(1614265330), other, secret)
		if err != nil {
			t.Fatal(err)
		}
		header := http.Header{webhook.HeaderID: {id}, webhook.HeaderTimestamp: {stamp}, webhook.HeaderSignature: {signatures}}
		genuine := false
		for field := range strings.FieldsSeq(signatures) {
			genuine = genuine || field == signed(secret, id, stamp, body) || field == signed(other, id, stamp, body)
		}
		if err := v.Verify(header, []byte(body)); err == nil && !genuine {
			t.Errorf("%q was taken for genuine", signatures)
		}
		header.Set(webhook.HeaderSignature, signatures+" "+signed(other, id, stamp, body))
		err = v.Verify(header, []byte(body))
		if err != nil && !errors.Is(err, webhook.ErrIncomplete) && !errors.Is(err, webhook.ErrTime) && len(strings.Fields(signatures)) < 32 {
			t.Errorf("what is signed was refused: %v", err)
		}
	})
}

func ExampleVerifier_Verify() {
	verifier, err := webhook.New(at(1614265330), secret)
	if err != nil {
		panic(err)
	}
	fmt.Println(verifier.Verify(delivery(nil), []byte(body)))
	fmt.Println(verifier.Verify(delivery(nil), []byte("something else")))
	// Output:
	// <nil>
	// webhook: the signature does not fit
}
