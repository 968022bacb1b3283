package rpc_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/rpc"
)

// statsOf asks the oracle how its one endpoint fares.
func statsOf(t *testing.T, conn *nats.Conn) micro.EndpointStats {
	t.Helper()
	answer, err := conn.Request("$SRV.STATS.keyward-oracle", nil, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	var stats micro.Stats
	if err := json.Unmarshal(answer.Data, &stats); err != nil || stats.Type != micro.StatsResponseType || len(stats.Endpoints) != 1 {
		t.Fatalf("got %s, %v", answer.Data, err)
	}
	return *stats.Endpoints[0]
}

func TestStatisticsCountRefusedCallsAndTheirTime(t *testing.T) {
	t.Parallel()
	const took = 20 * time.Millisecond
	conn := serveOn(t, rpc.Options{}, func(ctx context.Context, _ question) (answer, error) {
		ctx, cancel := context.WithTimeout(ctx, took)
		defer cancel()
		<-ctx.Done()
		return answer{}, fault.Unknown("userID")
	})
	for range 3 {
		if _, err := ask(t.Context(), rpc.NewClient(conn, "oracle", rpc.Within(5*time.Second))); err == nil {
			t.Fatal("the call was not refused")
		}
	}
	if stats := statsOf(t, conn); stats.NumRequests != 3 || stats.NumErrors != 3 || stats.LastError != "400:validation_error" ||
		stats.ProcessingTime < 3*took || stats.AverageProcessingTime < took || stats.Subject != "keyward.oracle.ask" {
		t.Errorf("after three refused calls: %+v", stats)
	}
	if _, err := conn.Request("keyward.oracle.ask", []byte("not json"), 5*time.Second); err != nil {
		t.Fatal(err)
	}
	if stats := statsOf(t, conn); stats.NumRequests != 4 || stats.NumErrors != 4 || stats.LastError != "500:internal_error" {
		t.Errorf("after a body that is no JSON: %+v", stats)
	}
}

func TestStatisticsTellWhatWentWellFromWhatDidNot(t *testing.T) {
	t.Parallel()
	fails := true
	conn := serveOn(t, rpc.Options{}, func(context.Context, question) (answer, error) {
		if fails {
			return answer{}, errors.New("broken")
		}
		return answer{}, nil
	})
	for _, fails = range []bool{true, false, false} {
		_, _ = ask(t.Context(), rpc.NewClient(conn, "oracle", rpc.Within(5*time.Second)))
	}
	if stats := statsOf(t, conn); stats.NumRequests != 3 || stats.NumErrors != 1 || stats.LastError != "500:internal_error" {
		t.Errorf("%+v", stats)
	}
}

func TestEveryToolThatAsksFindsTheService(t *testing.T) {
	t.Parallel()
	conn := serveOn(t, rpc.Options{}, func(context.Context, question) (answer, error) { return answer{}, nil })
	var id string
	for _, subject := range []string{"$SRV.PING", "$SRV.PING.keyward-oracle", "$SRV.INFO", "$SRV.INFO.keyward-oracle", "$SRV.STATS"} {
		answer, err := conn.Request(subject, nil, 5*time.Second)
		if err != nil {
			t.Fatalf("%s: %v", subject, err)
		}
		var who micro.ServiceIdentity
		if err := json.Unmarshal(
			answer.Data, &who,
		); err != nil || who.Name != "keyward-oracle" || who.Version != "0.0.1" || who.ID == "" ||
			who.Metadata == nil {
			t.Errorf("%s answers %s", subject, answer.Data)
		}
		id = who.ID
	}
	for _, verb := range []string{"PING", "INFO", "STATS"} {
		if _, err := conn.Request("$SRV."+verb+".keyward-oracle."+id, nil, 5*time.Second); err != nil {
			t.Errorf("%s of the instance: %v", verb, err)
		}
	}
}
