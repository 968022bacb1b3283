package test

import (
	"bytes"
	"encoding/json"
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/cmd/keyward/app/settings"
	"github.com/keyward/keyward/core/service"
)

// unanswered is a call that an instance did and did not answer.
type unanswered struct{ asked, answer []byte }

// hangingCeremony adds an instance of the ceremony service that does all it is asked, and hangs when it has done what method asks.
func (s *stack) hangingCeremony(t *testing.T, method string) <-chan unanswered {
	t.Helper()
	const id, calls = "HANGS", "keyward.ceremony."
	conn, err := nats.Connect(s.natsURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	identity := micro.ServiceIdentity{Name: "keyward-ceremony", ID: id, Version: "0.0.1", Metadata: map[string]string{"addressed": "true"}}
	pong, err := json.Marshal(micro.Ping{ServiceIdentity: identity, Type: micro.PingResponseType})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Subscribe("$SRV.PING.keyward-ceremony", func(msg *nats.Msg) { _ = msg.Respond(pong) }); err != nil {
		t.Fatal(err)
	}
	hung := make(chan unanswered, 100)
	if _, err := conn.Subscribe(calls+"*."+id, func(msg *nats.Msg) {
		subject := msg.Subject[:len(msg.Subject)-len("."+id)]
		done, err := conn.RequestMsg(&nats.Msg{Subject: subject, Header: msg.Header, Data: msg.Data}, patience)
		switch {
		case err != nil: // who asked is answered by another
		case subject == calls+method:
			select {
			case hung <- unanswered{msg.Data, done.Data}:
			default:
			}
		default:
			_ = msg.RespondMsg(&nats.Msg{Header: done.Header, Data: done.Data})
		}
	}); err != nil {
		t.Fatal(err)
	}
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	return hung
}

func TestAnAppendStartOfAnInstanceThatHangsIsAnsweredByAnotherAlikeAndIsOneOffer(t *testing.T) {
	t.Parallel()
	st := shape{split: true, parts: []string{"events,decision,ceremony", "gateway"}}.start(t, func(cfg *settings.Config) {
		// So late that the instance which hangs has made its offer by then, unless the machine is very busy.
		cfg.Calls.HedgeAfter = 500 * time.Millisecond
	})
	hung := st.hangingCeremony(t, "append-start")
	for end := time.Now().Add(2 * patience); time.Now().Before(end); {
		ada := st.newPerson(t)
		ada.loginStart(t, ada.nextProcess()) // so that the client is known
		process := ada.nextProcess()
		// What was asked for silently is not asked for so again: whoever counts the first attempt's offer answers something else.
		answered := as[rest.PasskeyAppendStartRsp](t, ada.call(t, "POST", "/v2/passkey/append/start", map[string]any{
			"userID": ada.id, "processID": process, "username": "ada@example.com", "clientInformation": mac(ada.handle),
			"passkeyIntelFlags": map[string]any{"forcePasskeyAppend": false, "askForConditionalCreate": true},
		}))
		select {
		case call := <-hung:
			if !bytes.Contains(call.asked, []byte(ada.id)) {
				continue // it was so late that the person before had an answer
			}
			var first service.Judged[rest.PasskeyAppendStartRsp]
			if err := json.Unmarshal(call.answer, &first); err != nil || !first.Body.AppendAllow {
				t.Fatalf("it would have answered %s: %v", call.answer, err)
			}
			if diff := cmp.Diff(judged(first.Body), judged(answered)); diff != "" {
				t.Errorf("the second attempt is judged by the first:\n%s", diff)
			}
			ada.offeredOnce(t)
			as[rest.PasskeyAppendFinishRsp](t, ada.appendFinish(t, process, answered.AttestationOptions))
			ada.offeredOnce(t)
			return
		default:
		}
	}
	t.Fatal("the instance that hangs was never asked")
}

// judged is the answer without what is each attempt's own.
func judged(rsp rest.PasskeyAppendStartRsp) rest.PasskeyAppendStartRsp {
	rsp.AttestationOptions = challengeMember.ReplaceAllString(rsp.AttestationOptions, "")
	rsp.NewClientEnvHandle = nil
	return rsp
}

var challengeMember = regexp.MustCompile(`"challenge":"[^"]*",?`)

func (p *person) offeredOnce(t *testing.T) {
	t.Helper()
	list := as[rest.PasskeyEventList](
		t, p.call(t, "GET", "/v2/users/"+p.id+"/passkeyEvents?include=engine&filter[]=eventType:eq:append-offered", nil),
	)
	if list.Paging.TotalItems != 1 {
		t.Errorf("in the log are %d offers: %+v", list.Paging.TotalItems, list.PasskeyEvents)
	}
}
