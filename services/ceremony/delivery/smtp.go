package delivery

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"net/textproto"
	"net/url"
	"strconv"
	"time"

	"github.com/wneessen/go-mail"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/fault"
)

// Schemes of the SMTP URL.
const (
	schemeStartTLS = "smtp"       // RFC 3207; required
	schemeTLS      = "smtps"      // RFC 8314 §3.3
	schemePlain    = "smtp+plain" // for a server on the same machine; passwords are sent to localhost only
)

// server is what the settings say of SMTP.
type server struct {
	scheme         string
	host           string
	port           int
	user, password string
	from           *netmail.Address
}

func parseSMTP(c Config) (server, error) {
	var errs []error
	s, err := parseSMTPURL(c.SMTPURL.Reveal())
	if err != nil {
		errs = append(errs, fmt.Errorf("smtp_url: %w", err))
	}
	if s.from, err = netmail.ParseAddress(c.SMTPFrom); err != nil {
		errs = append(errs, fmt.Errorf("smtp_from: must be an email address such as Shop <no-reply@example.com>, not %q", c.SMTPFrom))
	}
	return s, errors.Join(errs...)
}

// parseSMTPURL never says what the URL was: it may hold a password.
func parseSMTPURL(raw string) (server, error) {
	wanted := errors.New("must be of the form smtp://user:password@host:port, with the scheme smtp, smtps or smtp+plain")
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" || (u.Path != "" && u.Path != "/") || u.RawQuery != "" || u.Fragment != "" {
		return server{}, wanted
	}
	port, ok := map[string]int{schemeStartTLS: 587, schemeTLS: 465, schemePlain: 25}[u.Scheme]
	if !ok {
		return server{}, wanted
	}
	if text := u.Port(); text != "" {
		if port, err = strconv.Atoi(text); err != nil || port < 1 || port > 65535 {
			return server{}, wanted
		}
	}
	s := server{scheme: u.Scheme, host: u.Hostname(), port: port}
	if u.User != nil {
		s.user = u.User.Username()
		s.password, _ = u.User.Password()
		if s.user == "" || s.password == "" {
			return server{}, errors.New("must have both a user and a password, or neither")
		}
	}
	return s, nil
}

// smtp sends emails, each over a connection of its own.
type smtp struct {
	server server
	tls    *tls.Config
	texts  texts
}

func newSMTP(cfg Config, trust *tls.Config) (*smtp, error) {
	s, err := parseSMTP(cfg)
	if err != nil {
		return nil, err
	}
	t, err := readTexts()
	if err != nil {
		return nil, err
	}
	if trust == nil {
		trust = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	trust = trust.Clone()
	trust.ServerName = s.host
	return &smtp{server: s, tls: trust, texts: t}, nil
}

func (*smtp) close() {}

func (s *smtp) carry(ctx context.Context, m Message) error {
	if m.Type == rest.ChallengeTypeSmsOtp {
		return fault.Field("challengeType", "sms_otp cannot be delivered by email; that takes the delivery webhook")
	}
	email, err := s.compose(m)
	if err != nil {
		return err
	}
	line := &line{server: s.server, tls: s.tls}
	defer line.release()
	client, err := s.client(ctx, line)
	if err != nil {
		return &failure{cause: fmt.Errorf("set up SMTP: %w", err)}
	}
	err = client.DialAndSendWithContext(ctx, email)
	if err == nil || email.IsDelivered() {
		// The server has the message; how the connection ended does not matter.
		return nil
	}
	return smtpFailure(err)
}

// client returns a client for one connection.
func (s *smtp) client(ctx context.Context, l *line) (*mail.Client, error) {
	timeout := mail.DefaultTimeout
	if deadline, ok := ctx.Deadline(); ok {
		timeout = max(time.Until(deadline), time.Millisecond)
	}
	opts := []mail.Option{
		mail.WithPort(
			s.server.port,
		),
		mail.WithTimeout(timeout),
		mail.WithTLSConfig(s.tls),
		mail.WithDialContextFunc(l.dial),
		mail.WithoutNoop(),
		mail.WithoutRset(),
	}
	switch s.server.scheme {
	case schemeTLS:
		opts = append(opts, mail.WithSSL())
	case schemePlain:
		opts = append(opts, mail.WithTLSPolicy(mail.NoTLS))
	default:
		opts = append(opts, mail.WithTLSPolicy(mail.TLSMandatory))
	}
	if s.server.user != "" {
		opts = append(opts, mail.WithUsername(s.server.user), mail.WithPassword(s.server.password),
			mail.WithOpportunisticSMTPAuth(mail.SMTPAuthSCRAMSHA256, mail.SMTPAuthSCRAMSHA1, mail.SMTPAuthPlain, mail.SMTPAuthLogin))
	}
	return mail.NewClient(s.server.host, opts...)
}

// line is the connection of one message. It is cut when the message's time is over, since the client allows each step of the protocol the
// whole time anew.
type line struct {
	server server
	tls    *tls.Config
	stop   func() bool
}

func (l *line) dial(ctx context.Context, network, address string) (net.Conn, error) {
	// The context of the dial ends with the dial, that of the message is its parent: only the deadline of the former can be used here.
	deadline, _ := ctx.Deadline()
	var conn net.Conn
	var err error
	if l.server.scheme == schemeTLS {
		conn, err = (&tls.Dialer{Config: l.tls}).DialContext(ctx, network, address)
	} else {
		conn, err = (&net.Dialer{}).DialContext(ctx, network, address)
	}
	if err != nil {
		return nil, err
	}
	timer := time.AfterFunc(time.Until(deadline), func() { _ = conn.Close() })
	l.stop = timer.Stop
	return conn, nil
}

func (l *line) release() {
	if l.stop != nil {
		l.stop()
	}
}

// smtpFailure says what an error means for the message. Before the message has been handed over whole it cannot have been taken; after
// that, only an answer of the server tells.
func smtpFailure(err error) error {
	f := &failure{cause: err, again: true}
	var sent *mail.SendError
	if !errors.As(err, &sent) {
		var network net.Error
		var answer *textproto.Error
		f.again = errors.As(err, &network) || (errors.As(err, &answer) && answer.Code/100 == 4)
		return f
	}
	answered := sent.ErrorCode() != 0
	f.again = answered && sent.IsTemp()
	f.uncertain = !answered && sent.Reason == mail.ErrSMTPDataClose
	return f
}
