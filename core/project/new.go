package project

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/origin"
)

// minSecret is how many characters follow the prefix at least. A secret is guessed without anybody's knowing once a hash of it is
// out, so it has as many as NIST SP 800-63B-4 §3.1.1.2 asks of a password that stands alone.
const minSecret = 15

const (
	maxOrigins = 100
	maxName    = 200 // characters
)

// CheckSecret says what is wrong with a secret that an operator chose.
func CheckSecret(secret string) error {
	rest, ok := strings.CutPrefix(secret, SecretPrefix)
	if !ok {
		return fmt.Errorf("must start with %s", SecretPrefix)
	}
	if len(rest) < minSecret {
		return fmt.Errorf("must have at least %d characters after %s, drawn at random: leave it empty, and one is drawn", minSecret, SecretPrefix)
	}
	return nil
}

// CheckCNAME returns the host name in lower case, or says what is wrong with it.
func CheckCNAME(host string) (string, error) {
	host = strings.ToLower(host)
	return host, origin.CheckHost(host)
}

// New makes a project. RP ID and origins are checked: a wrong RP ID makes passkeys that can never log in.
func New(id ident.ProjectID, name, rpID, rpName string, origins []string, secret string, now time.Time) (Project, error) {
	if _, err := ident.ParseProjectID(string(id)); err != nil {
		return Project{}, fault.Field("id", "%s", err)
	}
	if err := CheckSecret(secret); err != nil {
		return Project{}, fault.Field("secret", "%s", err)
	}
	if err := origin.CheckRPID(rpID); err != nil {
		return Project{}, fault.Field("rpID", "%s: %s", rpID, err)
	}
	p := Project{
		ID: id, Name: name, RPID: rpID, RPName: rpName, Secret: HashSecret(secret), IdempotencySalt: NewSalt(), SightingKey: NewSightingKey(),
		CreatedMs: now.UnixMilli(),
	}
	if err := p.SetOrigins(origins, nil); err != nil {
		return Project{}, err
	}
	return p, nil
}

// SetOrigins replaces the origins of a project. own are on the RP ID or below it, or an app's; related are on other domains, and
// browsers let them use the RP ID because its document names them (W3C WebAuthn Level 3 §5.11).
func (p *Project) SetOrigins(own, related []string) error {
	if len(own) == 0 {
		return fault.Field("origins", "cannot be blank")
	}
	if len(own)+len(related) > maxOrigins {
		return fault.Field("origins", "must be at most %d, related ones included", maxOrigins)
	}
	var all []string
	add := func(read string) {
		if !slices.Contains(all, read) {
			all = append(all, read)
		}
	}
	for _, text := range own {
		read, err := origin.ParseOwn(text, p.RPID)
		if err != nil {
			return fault.Field("origins", "%s: %s", text, err)
		}
		add(read)
	}
	for _, text := range related {
		read, err := origin.ParseRelated(text, p.RPID)
		if err != nil {
			return fault.Field("relatedOrigins", "%s: %s", text, err)
		}
		add(read)
	}
	if err := origin.CheckLabels(related); err != nil {
		return fault.Field("relatedOrigins", "%s", err)
	}
	p.Origins = all
	return nil
}

// SetName replaces the name that operators know a project by.
func (p *Project) SetName(name string) error {
	if err := checkText("name", name); err != nil {
		return err
	}
	p.Name = name
	return nil
}

// SetUserVerification replaces how logins of a project ask for user verification; empty = as the installation has it.
func (p *Project) SetUserVerification(how string) error {
	switch how {
	case "", "required", "preferred":
		p.UserVerification = how
		return nil
	default:
		return fault.Field("userVerification", "must be required or preferred, or empty for the installation's")
	}
}

func checkText(field, text string) error {
	if strings.TrimSpace(text) == "" || utf8.RuneCountInString(text) > maxName {
		return fault.Field(field, "must be 1 to %d characters long, and not only blanks", maxName)
	}
	return nil
}

// SetHosts replaces the host names and patterns that frontends reach a project at, beside its CNAME.
func (p *Project) SetHosts(hosts []string) error {
	changed := p.Frontend
	changed.Hosts = hosts
	checked, err := changed.Check()
	if err != nil {
		return err
	}
	p.Frontend = checked
	return nil
}

// Own returns the origins that need no more than the RP ID.
func (p Project) Own() []string {
	return slices.DeleteFunc(slices.Clone(p.Origins), func(o string) bool { return !origin.On(o, p.RPID) })
}

// Related returns the origins on other domains, which browsers find in the document of the RP ID.
func (p Project) Related() []string {
	return slices.DeleteFunc(slices.Clone(p.Origins), func(o string) bool { return origin.On(o, p.RPID) })
}

// Doubts says what of a stored project would be refused today: an earlier version took it, and it goes on as well as it did.
func (p Project) Doubts() []error {
	var doubts []error
	if err := origin.CheckRPID(p.RPID); err != nil {
		doubts = append(doubts, fmt.Errorf("rpID: %s: %w", p.RPID, err))
	}
	if err := p.SetOrigins(p.Own(), p.Related()); err != nil {
		doubts = append(doubts, err)
	}
	if _, err := p.Frontend.Check(); err != nil {
		doubts = append(doubts, err)
	}
	if p.CNAME != "" {
		if err := origin.CheckHost(p.CNAME); err != nil {
			doubts = append(doubts, fmt.Errorf("cname: %s: %w", p.CNAME, err))
		}
	}
	return doubts
}
