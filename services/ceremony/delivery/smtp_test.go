package delivery_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	gosmtp "github.com/emersion/go-smtp"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/secret"
	"github.com/keyward/keyward/services/ceremony/delivery"
)

// mailbox is an SMTP server.
type mailbox struct {
	port  int
	trust *tls.Config

	mu       sync.Mutex
	letters  []letter
	sessions int
	data     func(n int) error // answer to the n-th message, from 1; nil = taken
	rcpt     func(to string) error
}

type letter struct {
	from, to, user string
	raw            []byte
}

func (b *mailbox) received() []letter {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.letters
}

type session struct {
	box      *mailbox
	n        int
	user     string
	from, to string
}

// NewSession implements gosmtp.Backend.
func (b *mailbox) NewSession(*gosmtp.Conn) (gosmtp.Session, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sessions++
	return &session{box: b, n: b.sessions}, nil
}

func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if password != "hunter2" {
			return errors.New("wrong password")
		}
		s.user = user
		return nil
	}), nil
}

func (s *session) Mail(from string, _ *gosmtp.MailOptions) error {
	s.from = from
	return nil
}

func (s *session) Rcpt(to string, _ *gosmtp.RcptOptions) error {
	s.to = to
	if s.box.rcpt != nil {
		return s.box.rcpt(to)
	}
	return nil
}

func (s *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if s.box.data != nil {
		if err := s.box.data(s.n); err != nil {
			return err
		}
	}
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	s.box.letters = append(s.box.letters, letter{s.from, s.to, s.user, raw})
	return nil
}

func (*session) Reset()        {}
func (*session) Logout() error { return nil }

// certificate returns a certificate for 127.0.0.1 and what trusts it.
func certificate(t *testing.T) (serving, trusting *tls.Config) {
	t.Helper()
	s := httptest.NewTLSServer(http.NotFoundHandler())
	defer s.Close()
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return &tls.Config{Certificates: s.TLS.Certificates}, &tls.Config{RootCAs: pool}
}

// newMailbox starts a server: with TLS from the start, on request, or not at all.
func newMailbox(t *testing.T, encryption string, b *mailbox) *mailbox {
	t.Helper()
	serving, trusting := certificate(t)
	b.trust = trusting
	server := gosmtp.NewServer(b)
	server.Domain, server.AllowInsecureAuth = "mail.example.com", true
	server.ErrorLog = quiet{}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.port = l.Addr().(*net.TCPAddr).Port
	switch encryption {
	case "tls":
		l = tls.NewListener(l, serving)
	case "starttls":
		server.TLSConfig = serving
	}
	var running sync.WaitGroup
	running.Go(func() { _ = server.Serve(l) })
	t.Cleanup(func() {
		// A server that is closed before it serves does not know of its listener.
		_ = l.Close()
		_ = server.Close()
		running.Wait()
	})
	return b
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

func (b *mailbox) courier(t *testing.T, scheme, login string, timeout time.Duration) *delivery.Courier {
	t.Helper()
	return newCourier(t, delivery.Config{
		Kind:     delivery.SMTP,
		SMTPURL:  secret.Text(fmt.Sprintf("%s://%s127.0.0.1:%d", scheme, login, b.port)),
		SMTPFrom: "Shop <no-reply@example.com>",
		Timeout:  timeout,
	}, delivery.Deps{TLS: b.trust})
}

func TestEmailsArrive(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		encryption, scheme, login, user string
	}{
		"after STARTTLS":                      {"starttls", "smtp", "", ""},
		"after STARTTLS, with a login":        {"starttls", "smtp", "ada:hunter2@", "ada"},
		"over TLS from the start":             {"tls", "smtps", "", ""},
		"over TLS from the start, with login": {"tls", "smtps", "ada:hunter2@", "ada"},
		"without TLS to this machine":         {"", "smtp+plain", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newMailbox(t, c.encryption, &mailbox{})
			courier := b.courier(t, c.scheme, c.login, 10*time.Second)
			for _, m := range []delivery.Message{code(), link()} {
				if err := courier.Deliver(t.Context(), m); err != nil {
					t.Fatal(err)
				}
			}
			got := b.received()
			if len(got) != 2 {
				t.Fatalf("%d emails arrived", len(got))
			}
			for _, l := range got {
				if l.from != "no-reply@example.com" || l.to != "ada@example.org" || l.user != c.user {
					t.Errorf("envelope %q %q, user %q", l.from, l.to, l.user)
				}
			}
			header, parts := open(t, got[0].raw)
			if header.Get("Subject") != "Your code for Shop" || header.Get("From") != `"Shop" <no-reply@example.com>` ||
				header.Get("Auto-Submitted") != "auto-generated" {
				t.Errorf("header %q", header)
			}
			for kind, text := range parts {
				if !strings.Contains(text, value) || !strings.Contains(text, "5 minutes") {
					t.Errorf("%s: %q", kind, text)
				}
			}
			_, parts = open(t, got[1].raw)
			if text := parts["text/plain"]; !strings.Contains(text, link().Link) {
				t.Errorf("text %q", text)
			}
			if text := parts["text/html"]; !strings.Contains(text, strings.ReplaceAll(link().Link, "&", "&amp;")) {
				t.Errorf("html %q", text)
			}
		})
	}
}

func TestANameCannotAddHeadersOrMarkup(t *testing.T) {
	t.Parallel()
	b := newMailbox(t, "", &mailbox{})
	m := code()
	m.Sender = "Äpfel & Shop\r\nBcc: eve@example.com\r\n\r\n<script>alert(1)</script>"
	if err := b.courier(t, "smtp+plain", "", 10*time.Second).Deliver(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	header, parts := open(t, b.received()[0].raw)
	if header.Get("Bcc") != "" {
		t.Error("a header was added")
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(header.Get("Subject"))
	if err != nil || !strings.HasPrefix(subject, "Your code for Äpfel & Shop") {
		t.Errorf("subject %q, %v", subject, err)
	}
	if html := parts["text/html"]; strings.Contains(html, "<script>") || !strings.Contains(html, "Äpfel &amp; Shop") {
		t.Errorf("html %q", html)
	}
}

func TestAServerThatCannotBeTrustedGetsNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		encryption, scheme, login string
		trusted                   bool
	}{
		"no STARTTLS":                            {"", "smtp", "", true},
		"an unknown certificate after STARTTLS":  {"starttls", "smtp", "", false},
		"an unknown certificate from the start":  {"tls", "smtps", "", false},
		"no TLS where it was to begin with that": {"", "smtps", "", true},
		"a wrong password":                       {"tls", "smtps", "ada:hunter3@", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newMailbox(t, c.encryption, &mailbox{})
			if !c.trusted {
				b.trust = &tls.Config{RootCAs: x509.NewCertPool()}
			}
			wantUnavailable(t, b.courier(t, c.scheme, c.login, 10*time.Second).Deliver(t.Context(), code()), false)
			if got := b.received(); len(got) != 0 {
				t.Errorf("received %q", got)
			}
		})
	}
}

func TestATextMessageCannotBeSentByEmail(t *testing.T) {
	t.Parallel()
	b := newMailbox(t, "", &mailbox{})
	m := code()
	m.Type, m.To = rest.ChallengeTypeSmsOtp, "+4915112345678"
	var f *fault.Fault
	err := b.courier(t, "smtp+plain", "", 10*time.Second).Deliver(t.Context(), m)
	if !errors.As(err, &f) || f.Status != http.StatusBadRequest || f.Validation[0].Field != "challengeType" {
		t.Errorf("got %v", err)
	}
}

func TestAServerThatRefuses(t *testing.T) {
	t.Parallel()
	answer := func(code int) error {
		return &gosmtp.SMTPError{Code: code, EnhancedCode: gosmtp.NoEnhancedCode, Message: "no"}
	}
	for name, c := range map[string]struct {
		box      *mailbox
		taken    bool
		sessions int
	}{
		"for now is asked again":      {&mailbox{data: func(int) error { return answer(451) }}, false, 3},
		"for now and then takes it":   {&mailbox{data: func(n int) error { return map[bool]error{true: answer(451)}[n == 1] }}, true, 2},
		"for good is not asked again": {&mailbox{data: func(int) error { return answer(554) }}, false, 1},
		"the recipient for good":      {&mailbox{rcpt: func(string) error { return answer(550) }}, false, 1},
		"the recipient for now":       {&mailbox{rcpt: func(string) error { return answer(450) }}, false, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newMailbox(t, "", c.box)
			err := b.courier(t, "smtp+plain", "", 10*time.Second).Deliver(t.Context(), code())
			if c.taken && err != nil {
				t.Error(err)
			}
			if !c.taken {
				wantUnavailable(t, err, false)
			}
			b.mu.Lock()
			defer b.mu.Unlock()
			if b.sessions != c.sessions {
				t.Errorf("asked %d times, want %d", b.sessions, c.sessions)
			}
		})
	}
}

// script is a server that says what it is told, line for line, and then says nothing more.
func script(t *testing.T, hangUp bool, lines ...string) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer func() { _ = conn.Close() }()
				in := bufio.NewReader(conn)
				for i, line := range lines {
					if i > 0 {
						for {
							// A message ends with a line that is a dot; nothing else that is said here has more than one line.
							said, err := in.ReadString('\n')
							if err != nil {
								return
							}
							if !strings.HasPrefix(lines[i-1], "354") || said == ".\r\n" {
								break
							}
						}
					}
					if _, err := conn.Write([]byte(line + "\r\n")); err != nil {
						return
					}
				}
				if !hangUp {
					_, _ = io.Copy(io.Discard, in)
				}
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		running.Wait()
	})
	return l.Addr().(*net.TCPAddr).Port
}

func TestAServerThatGoesSilentCostsNoMoreThanTheTimeout(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		lines     []string
		uncertain bool
	}{
		"at once":                            {nil, false},
		"after its greeting":                 {[]string{"220 hello"}, false},
		"after the sender":                   {[]string{"220 hello", "250 hello", "250 ok"}, false},
		"before it wants the message":        {[]string{"220 hello", "250 hello", "250 ok", "250 ok"}, false},
		"when it has been given the message": {[]string{"220 hello", "250 hello", "250 ok", "250 ok", "354 go on"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := &mailbox{port: script(t, false, c.lines...)}
			began := time.Now()
			wantUnavailable(t, b.courier(t, "smtp+plain", "", 300*time.Millisecond).Deliver(t.Context(), code()), c.uncertain)
			if took := time.Since(began); took > time.Minute {
				t.Errorf("took %s", took)
			}
		})
	}
}

func TestWhatHappensAfterTheMessageWasTakenDoesNotMatter(t *testing.T) {
	t.Parallel()
	b := &mailbox{port: script(t, true, "220 hello", "250 hello", "250 ok", "250 ok", "354 go on", "250 taken")}
	if err := b.courier(t, "smtp+plain", "", 5*time.Second).Deliver(t.Context(), code()); err != nil {
		t.Error(err)
	}
}

func TestAnAbsentServerHasTakenNothing(t *testing.T) {
	t.Parallel()
	b := &mailbox{port: 1}
	wantUnavailable(t, b.courier(t, "smtp+plain", "", 5*time.Second).Deliver(t.Context(), code()), false)
}

// open returns the header of an email and its parts by type.
func open(t *testing.T, raw []byte) (mail.Header, map[string]string) {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	parts := map[string]string{}
	for r := multipart.NewReader(m.Body, params["boundary"]); ; {
		part, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		kind, _, err := mime.ParseMediaType(part.Header.Get("Content-Type"))
		if err != nil {
			t.Fatal(err)
		}
		if encoding := part.Header.Get("Content-Transfer-Encoding"); encoding != "quoted-printable" {
			t.Fatalf("encoding %q", encoding)
		}
		text, err := io.ReadAll(quotedprintable.NewReader(part))
		if err != nil {
			t.Fatal(err)
		}
		parts[kind] = string(text)
	}
	if len(parts) != 2 {
		t.Fatalf("parts %q", parts)
	}
	return m.Header, parts
}
