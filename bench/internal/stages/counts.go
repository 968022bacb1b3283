package stages

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/keyward/keyward/core/bus"
)

// counts are what a Keyward and its stores have done since they began, or, of one call, on average.
type counts struct {
	micros      float64 // of the processor, in the Keyward
	allocations float64 // in the Keyward
	messages    float64 // that NATS received, requests too
	flushes     float64 // of them, those that were stored and acknowledged from disk
	trips       float64 // to Redis
}

func (c counts) less(before counts) counts {
	return counts{
		c.micros - before.micros, c.allocations - before.allocations, c.messages - before.messages, c.flushes - before.flushes,
		c.trips - before.trips,
	}
}

func (c counts) over(n int) counts {
	by := float64(n)
	return counts{c.micros / by, c.allocations / by, c.messages / by, c.flushes / by, c.trips / by}
}

// meter reads counts. What is empty is not there, and counts nothing.
type meter struct{ admin, nats, redis string } // host:port

func (m meter) read() (c counts, err error) {
	if m.nats != "" {
		if c.messages, c.flushes, err = m.stored(); err != nil {
			return counts{}, fmt.Errorf("ask NATS: %w", err)
		}
	}
	if m.redis != "" {
		if c.trips, err = m.exchanged(); err != nil {
			return counts{}, fmt.Errorf("ask Redis: %w", err)
		}
	}
	// Last, so that what it takes to be asked is the same each time.
	if c.micros, c.allocations, err = m.spent(); err != nil {
		return counts{}, fmt.Errorf("ask Keyward: %w", err)
	}
	return c, nil
}

func (m meter) spent() (micros, allocations float64, err error) {
	rsp, err := http.Get("http://" + m.admin + "/metrics")
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = rsp.Body.Close() }()
	for lines := bufio.NewScanner(rsp.Body); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		switch name {
		case "process_cpu_seconds_total":
			micros, err = strconv.ParseFloat(value, 64)
			micros *= 1e6
		case "go_memstats_mallocs_total":
			allocations, err = strconv.ParseFloat(value, 64)
		}
		if err != nil {
			return 0, 0, err
		}
	}
	return micros, allocations, nil
}

// stored asks the NATS server what it got, and how many messages are in streams that are flushed before they are acknowledged.
func (m meter) stored() (messages, flushes float64, err error) {
	beats := []string{bus.ProbesStream, "KV_" + bus.WebhookWorkBucket, "KV_" + bus.IntegrityBucket} // written though nobody calls
	var server struct {
		Got float64 `json:"in_msgs"`
	}
	if err := m.ask("/varz", &server); err != nil {
		return 0, 0, err
	}
	var streams struct {
		Accounts []struct {
			Streams []struct {
				Name   string `json:"name"`
				Config struct {
					Persist string `json:"persist_mode"`
				} `json:"config"`
				State struct {
					Last float64 `json:"last_seq"`
				} `json:"state"`
			} `json:"stream_detail"`
		} `json:"account_details"`
	}
	if err := m.ask("/jsz?streams=true&config=true&limit=100", &streams); err != nil {
		return 0, 0, err
	}
	for _, account := range streams.Accounts {
		for _, stream := range account.Streams {
			if stream.Config.Persist != "async" && !slices.Contains(beats, stream.Name) {
				flushes += stream.State.Last
			}
		}
	}
	return server.Got, flushes, nil
}

// settled returns the flushes once no more of them come.
func (m meter) settled() (flushes float64, err error) {
	const still, most, pause = 4, 30, time.Second // what is put off in the service waits for two seconds
	for looked, same := 0, 0; m.nats != "" && same < still; looked++ {
		if looked == most {
			return 0, errors.New("the writes to NATS have no end")
		}
		time.Sleep(pause)
		_, now, err := m.stored()
		if err != nil {
			return 0, fmt.Errorf("ask NATS: %w", err)
		}
		if same++; now != flushes {
			flushes, same = now, 0
		}
	}
	return flushes, nil
}

func (m meter) ask(path string, into any) error {
	rsp, err := http.Get("http://" + m.nats + path)
	if err != nil {
		return err
	}
	defer func() { _ = rsp.Body.Close() }()
	return json.NewDecoder(rsp.Body).Decode(into)
}

// exchanged asks Redis how often it has read from a connection: one for all that a client sends together.
func (m meter) exchanged() (float64, error) {
	conn, err := net.DialTimeout("tcp", m.redis, time.Minute)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write([]byte("INFO stats\r\n")); err != nil {
		return 0, err
	}
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		if value, found := strings.CutPrefix(lines.Text(), "total_reads_processed:"); found {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, fmt.Errorf("it does not tell how often it has read")
}
