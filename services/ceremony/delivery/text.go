package delivery

import (
	"bytes"
	"embed"
	"fmt"
	htmltemplate "html/template"
	"strings"
	"text/template"
	"time"
	"unicode"

	"github.com/wneessen/go-mail"

	"github.com/keyward/keyward/core/fault"
)

//go:embed templates
var files embed.FS

// texts are the bodies of emails, by whether they hold a code or a link.
type texts struct {
	plain *template.Template
	html  *htmltemplate.Template
}

func parseTexts() (texts, error) {
	plain, err := template.ParseFS(files, "templates/*.txt")
	if err != nil {
		return texts{}, fmt.Errorf("parse the templates of emails: %w", err)
	}
	html, err := htmltemplate.ParseFS(files, "templates/*.html")
	if err != nil {
		return texts{}, fmt.Errorf("parse the templates of emails: %w", err)
	}
	return texts{plain, html}, nil
}

// content is what the templates show.
type content struct {
	Sender, Code, Link, Valid string
}

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
	var plain, html bytes.Buffer
	if err := s.texts.plain.ExecuteTemplate(&plain, name+".txt", c); err != nil {
		return nil, fault.Internal(fmt.Errorf("write an email: %w", err))
	}
	if err := s.texts.html.ExecuteTemplate(&html, name+".html", c); err != nil {
		return nil, fault.Internal(fmt.Errorf("write an email: %w", err))
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
	email.SetBodyString(mail.TypeTextPlain, plain.String())
	email.AddAlternativeString(mail.TypeTextHTML, html.String())
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
