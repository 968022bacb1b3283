package delivery

import (
	"embed"
	"errors"
	"fmt"
	"html"
	"strings"
	"time"
	"unicode"

	"github.com/wneessen/go-mail"

	"github.com/keyward/keyward/core/fault"
)

//go:embed templates
var files embed.FS

// texts are the bodies of emails by name: code, link or passkey. Names in them like {{.Code}} stand for what content holds; this is not
// text/template, since whatever calls that keeps every exported method of every type in the binary, 15 MB of them.
type texts map[string]body

type body struct {
	plain, html string
}

func readTexts() (texts, error) {
	read := texts{}
	for _, name := range []string{"code", "link", "passkey"} {
		plain, err := files.ReadFile("templates/" + name + ".txt")
		if err != nil {
			return nil, fmt.Errorf("read the text of an email: %w", err)
		}
		page, err := files.ReadFile("templates/" + name + ".html")
		if err != nil {
			return nil, fmt.Errorf("read the text of an email: %w", err)
		}
		read[name] = body{plain: string(plain), html: string(page)}
	}
	return read, nil
}

// content is what the texts show.
type content struct {
	Sender, Code, Link, Valid string
}

// fill returns text with what it names. Every value goes through escape; what a value holds is not looked at again.
func (c content) fill(text string, escape func(string) string) string {
	return strings.NewReplacer(
		"{{.Sender}}", escape(c.Sender), "{{.Code}}", escape(c.Code), "{{.Link}}", escape(c.Link), "{{.Valid}}", escape(c.Valid),
	).Replace(text)
}

func asIs(value string) string { return value }

// errNoWebLink is returned for a link that a mail program must not be led to follow, such as one that runs a script.
var errNoWebLink = errors.New("the link of an email is not one to a website")

// compose writes the email. Its errors are the caller's fault: an address that no email can be sent to.
func (s *smtp) compose(m Message) (*mail.Msg, error) {
	sender := oneLine(m.Sender)
	subject, name := "Your code for "+sender, "code"
	c := content{Sender: sender, Code: m.Value, Valid: lasting(m.Lifetime)}
	if m.Link != "" {
		subject, name, c.Code, c.Link = "Your link for "+sender, "link", "", m.Link
	}
	if m.Purpose == Registration {
		subject, name = "Create a passkey for "+sender, "passkey"
	}
	if m.Link != "" && !strings.HasPrefix(m.Link, "https://") && !strings.HasPrefix(m.Link, "http://") {
		return nil, fault.Internal(errNoWebLink)
	}
	email := mail.NewMsg(mail.WithNoDefaultUserAgent())
	if err := email.FromFormat(s.server.from.Name, s.server.from.Address); err != nil {
		return nil, fault.Internal(fmt.Errorf("write an email: %w", err))
	}
	if err := email.AddTo(m.To); err != nil {
		return nil, fault.Field("identifierValue", "is no address that an email can be sent to")
	}
	email.Subject(subject)
	// RFC 3834 §5: nobody's automatic answer is wanted.
	email.SetGenHeader("Auto-Submitted", "auto-generated")
	email.SetDate()
	email.SetMessageID()
	email.SetBodyString(mail.TypeTextPlain, c.fill(s.texts[name].plain, asIs))
	email.AddAlternativeString(mail.TypeTextHTML, c.fill(s.texts[name].html, html.EscapeString))
	return email, nil
}

// oneLine makes a name fit into a header.
func oneLine(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, name)
}

// lasting says how long d is, in words.
func lasting(d time.Duration) string {
	n, unit := int64(d/time.Second), "second"
	switch {
	case d >= 2*time.Hour && d%time.Hour == 0:
		n, unit = int64(d/time.Hour), "hour"
	case d >= time.Minute && d%time.Minute == 0:
		n, unit = int64(d/time.Minute), "minute"
	}
	if n != 1 {
		unit += "s"
	}
	return fmt.Sprintf("%d %s", n, unit)
}
