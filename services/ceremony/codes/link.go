package codes

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
)

// LinkedProcess is what a link tells a browser that has never seen the process in which an email address is to be verified.
type LinkedProcess struct {
	Guest       string // by which the browser may finish the verification, and do nothing else
	ExpiresMs   int64  // when the process ends, in Unix milliseconds
	FrontendAPI string // URL of the Frontend API
	Identifier  string // the email address
	Token       string // the secret of the link
}

// emailLinkID is what existing clients find in a link: everything that a browser needs that has never seen the process.
type emailLinkID struct {
	Process struct {
		TempID         string          `json:"tempId"`
		ProjectID      ident.ProjectID `json:"projectId"`
		Expires        int64           `json:"expires"` // Unix seconds
		FrontendAPIURL string          `json:"frontendApiUrl"`
	} `json:"process"`
	BlockData struct {
		Identifier              string                      `json:"identifier"`
		RetryNotBefore          int64                       `json:"retryNotBefore"`
		VerificationMethod      frontend.VerificationMethod `json:"verificationMethod"`
		IsPostLoginVerification bool                        `json:"isPostLoginVerification"`
	} `json:"blockData"`
	AuthType int `json:"authType"` // 0 login, 1 sign-up
}

// ProcessLink leads to the first website of the project, which finds in it what published clients look for.
func ProcessLink(p project.Project, to LinkedProcess) (string, error) {
	target, err := LinkTarget(p, rest.ChallengeCreateReq{ChallengeType: rest.ChallengeTypeEmailLink})
	if err != nil {
		return "", err
	}
	id := emailLinkID{AuthType: 1}
	id.Process.TempID, id.Process.ProjectID, id.Process.FrontendAPIURL = to.Guest, p.ID, to.FrontendAPI
	id.Process.Expires = time.UnixMilli(to.ExpiresMs).Unix()
	id.BlockData.Identifier, id.BlockData.VerificationMethod = to.Identifier, frontend.VerificationMethodEmailLink
	raw, err := json.Marshal(id)
	if err != nil {
		return "", fmt.Errorf("encode a link: %w", err)
	}
	u := *target
	u.RawQuery = url.Values{"corbadoEmailLinkID": {base64.StdEncoding.EncodeToString(inASCII(raw))}, "corbadoToken": {to.Token}}.Encode()
	if u.Path == "" {
		u.Path = "/"
	}
	return u.String(), nil
}

// inASCII escapes what is beyond ASCII in JSON: browsers decode the base64 of a link byte by byte.
func inASCII(raw []byte) []byte {
	var b strings.Builder
	for _, r := range string(raw) {
		switch {
		case r < 0x80:
			b.WriteRune(r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			const base, half = 0x10000, 10
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+(r-base)>>half, 0xdc00+(r-base)&0x3ff)
		}
	}
	return []byte(b.String())
}
