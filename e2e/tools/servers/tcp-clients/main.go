// Command tcp-clients has sessions with servers, by the drivers that applications use. Its arguments are URLs. Each line
// of its input is an order (`open N`, `use`, `close`), carried out for all servers at once; the answer is a line of JSON.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/url"
	"os"
	"sync"
	"time"
)

// A session that fails by then has failed.
const patience = 10 * time.Second

// session is one connection, or those of one client, with a server.
type session interface {
	// use has the server answer.
	use(ctx context.Context) error
	close()
}

// target is a server, and the sessions with it.
type target struct {
	url      *url.URL
	open     func(ctx context.Context, server *url.URL) (session, error)
	sessions []session
}

// outcome is what became of the sessions with one server.
type outcome struct {
	OK        int      `json:"ok"`
	Failures  []string `json:"failures"`
	SlowestMS float64  `json:"slowest_ms"`
}

var drivers = map[string]func(context.Context, *url.URL) (session, error){
	"postgres": openPostgres,
	"mysql":    openMySQL,
	"redis":    openRedis,
	"https":    openTLS,
	"kafka":    openKafka,
}

func main() {
	var targets []*target
	for _, argument := range os.Args[1:] {
		server, err := url.Parse(argument)
		if err != nil {
			log.Fatal(err)
		}
		open, known := drivers[server.Scheme]
		if !known {
			log.Fatalf("expected a scheme of %v, got %q", drivers, server.Scheme)
		}
		targets = append(targets, &target{url: server, open: open})
	}
	orders := bufio.NewScanner(os.Stdin)
	answers := json.NewEncoder(os.Stdout)
	for orders.Scan() {
		if err := answers.Encode(carryOut(orders.Text(), targets)); err != nil {
			log.Fatal(err)
		}
	}
}

func carryOut(order string, targets []*target) map[string]outcome {
	outcomes := make([]outcome, len(targets))
	together(len(targets), func(i int) {
		outcomes[i] = targets[i].carryOut(order)
	})
	byServer := map[string]outcome{}
	for i, target := range targets {
		byServer[target.url.Hostname()] = outcomes[i]
	}
	return byServer
}

func (t *target) carryOut(order string) outcome {
	var count int
	if _, err := fmt.Sscanf(order, "open %d", &count); err == nil {
		return t.openMore(count)
	}
	switch order {
	case "use":
		return measure(len(t.sessions), func(ctx context.Context, i int) error {
			return t.sessions[i].use(ctx)
		})
	case "close":
		for _, session := range t.sessions {
			session.close()
		}
		t.sessions = nil
		return outcome{Failures: []string{}}
	}
	return outcome{Failures: []string{fmt.Sprintf("expected open N, use or close, got %q", order)}}
}

// openMore opens sessions at once, and uses each: a connection that nothing was sent on has shown nothing.
func (t *target) openMore(count int) outcome {
	opened := make([]session, count)
	outcome := measure(count, func(ctx context.Context, i int) error {
		session, err := t.open(ctx, t.url)
		if err != nil {
			return err
		}
		if err := session.use(ctx); err != nil {
			session.close()
			return err
		}
		opened[i] = session
		return nil
	})
	for _, session := range opened {
		if session != nil {
			t.sessions = append(t.sessions, session)
		}
	}
	return outcome
}

func measure(count int, work func(ctx context.Context, i int) error) outcome {
	var (
		lock   sync.Mutex
		result = outcome{Failures: []string{}}
	)
	together(count, func(i int) {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		start := time.Now()
		err := work(ctx, i)
		took := float64(time.Since(start).Microseconds()) / 1e3
		lock.Lock()
		defer lock.Unlock()
		result.SlowestMS = max(result.SlowestMS, took)
		if err != nil {
			result.Failures = append(result.Failures, err.Error())
			return
		}
		result.OK++
	})
	return result
}

// together does count things at once, and waits for all.
func together(count int, work func(i int)) {
	var all sync.WaitGroup
	for i := range count {
		all.Go(func() { work(i) })
	}
	all.Wait()
}
