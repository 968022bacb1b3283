package delivery

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/origin"
)

// Bounds of the secret (Standard Webhooks, "Signature scheme") and of what is read of an answer.
const (
	secretPrefix = "whsec_"
	minSecret    = 24 // bytes
	maxSecret    = 64 // bytes
	maxAnswer    = 64 << 10
)

// target is what the settings say of the webhook.
type target struct {
	url    string
	signer *standardwebhooks.Webhook
}

func parseWebhook(c Config) (target, error) {
	var errs []error
	var bad *origin.Error // whose form would tell the URL
	if errors.As(origin.CheckURL(c.WebhookURL.Reveal(), origin.Parts{User: true, Query: true}), &bad) {
		errs = append(errs, errors.New("delivery_webhook_url: "+bad.Rule))
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(c.WebhookSecret.Reveal(), secretPrefix))
	if err != nil || len(key) < minSecret || len(key) > maxSecret {
		errs = append(
			errs, fmt.Errorf("delivery_webhook_secret: must be %s and the base64 form of %d to %d bytes", secretPrefix, minSecret, maxSecret),
		)
	}
	if len(errs) > 0 {
		return target{}, errors.Join(errs...)
	}
	signer, err := standardwebhooks.NewWebhookRaw(key)
	return target{url: c.WebhookURL.Reveal(), signer: signer}, err
}

// webhook posts messages to a URL that the operator has chosen, so it may be in a private network. The ID of a message is that of the
// challenge, so a receiver can tell a repeat.
type webhook struct {
	target target
	client *http.Client
	now    func() time.Time
}

func newWebhook(cfg Config, deps Deps) (*webhook, error) {
	t, err := parseWebhook(cfg)
	if err != nil {
		return nil, err
	}
	return &webhook{target: t, now: deps.Now, client: &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: deps.TLS, ForceAttemptHTTP2: true,
			MaxIdleConnsPerHost: atOnce, IdleConnTimeout: 30 * time.Second, MaxResponseHeaderBytes: maxAnswer,
		},
		// A redirect would take the value to where nobody said it may go.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

func (w *webhook) close() { w.client.CloseIdleConnections() }

// payload is the body, in the form that Standard Webhooks recommends.
type payload struct {
	Type      string `json:"type"`
	Timestamp string `json:"timestamp"` // RFC 3339
	Data      data   `json:"data"`
}

type data struct {
	ProjectID         string             `json:"projectID"`
	UserID            string             `json:"userID"`
	ChallengeID       string             `json:"challengeID"`
	ChallengeType     rest.ChallengeType `json:"challengeType"`
	IdentifierValue   string             `json:"identifierValue"`
	Purpose           string             `json:"purpose,omitempty"` // passkey-registration; empty: to verify the identifier
	Value             string             `json:"value"`
	Link              string             `json:"link,omitempty"`
	Expires           int64              `json:"expires"` // Unix seconds
	ChallengeMetadata map[string]any     `json:"challengeMetadata,omitempty"`
}

// payloadType is the type of every payload.
const payloadType = "challenge.created"

func (w *webhook) carry(ctx context.Context, m Message) error {
	now := w.now()
	body, err := json.Marshal(payload{Type: payloadType, Timestamp: now.UTC().Format(time.RFC3339), Data: data{
		ProjectID: string(m.Project), UserID: string(m.User), ChallengeID: string(m.ID), ChallengeType: m.Type, IdentifierValue: m.To,
		Purpose: m.Purpose, Value: m.Value, Link: m.Link, Expires: m.Expires.Unix(), ChallengeMetadata: m.Metadata,
	}})
	if err != nil {
		return fault.Internal(errors.New("encode a delivery"))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.target.url, bytes.NewReader(body))
	if err != nil {
		return fault.Internal(errors.New("make the request of a delivery"))
	}
	signature, err := w.target.signer.Sign(string(m.ID), now, body)
	if err != nil {
		return fault.Internal(errors.New("sign a delivery"))
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(standardwebhooks.HeaderWebhookID, string(m.ID))
	req.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	req.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	return w.post(req)
}

func (w *webhook) post(req *http.Request) error {
	rsp, err := w.client.Do(req)
	if err != nil {
		return webhookFailure(err)
	}
	// What is left unread costs the connection, not the time: the answer is the status.
	_, _ = io.CopyN(io.Discard, rsp.Body, maxAnswer)
	_ = rsp.Body.Close()
	if rsp.StatusCode/100 == 2 {
		return nil
	}
	return &failure{
		cause: fmt.Errorf("the delivery webhook answered %d", rsp.StatusCode),
		again: rsp.StatusCode >= http.StatusInternalServerError || rsp.StatusCode == http.StatusTooManyRequests,
	}
}

// webhookFailure says what an error means for the message. The URL, which may hold a secret, is left out.
func webhookFailure(err error) error {
	var named *url.Error
	if errors.As(err, &named) {
		err = named.Err
	}
	var dial *net.OpError
	unsent := errors.As(err, &dial) && dial.Op == "dial"
	return &failure{cause: fmt.Errorf("post to the delivery webhook: %w", err), again: true, uncertain: !unsent}
}
