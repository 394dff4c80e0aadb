package main

import (
	"fmt"
	"slices"
	"strings"

	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"istio.io/istio/pkg/config/constants"
	"istio.io/istio/pkg/util/sets"
)

// Verdict on one call in one scope.
type Verdict struct {
	// Asks: the scope leaves it to a catch-all, where the filter asks the collector: about a request, or about a
	// connection, whose server's name it knows ("tls") where the listener has read it.
	Asks string `json:"asks,omitempty"`
	// Differs tells in what it is not as in the full scope; nothing where it is the same.
	Differs []string `json:"differs,omitempty"`
	// Lazy is what becomes of it where it differs.
	Lazy *Outcome `json:"lazy,omitempty"`
	// Anchored: the full scope differs in the same way as soon as it has the port anchor.
	Anchored bool `json:"anchored,omitempty"`
	// Shared: it meets the listener of all addresses, where the full scope has one for the address that was dialled.
	Shared bool `json:"shared,omitempty"`
}

// reference is the full sidecar, with what a scoped one is held against.
type reference struct {
	sidecar
	// own are the clusters that its own filters call.
	own sets.String
	// outcomes of the calls.
	outcomes []Outcome
	// anchored is the full sidecar beside lazymesh's own objects, with its outcomes: it tells what these alone do.
	anchored func() (sidecar, []Outcome)
}

// compare holds a scoped sidecar against the full one.
func (full reference) compare(lazy sidecar, calls []Call) Scoped {
	scoped := Scoped{Own: differing(full.sidecar, lazy, full.own), Verdicts: []Verdict{}}
	for n, call := range calls {
		want, found := full.outcomes[n], lazy.outcome(call)
		verdict := judge(full.sidecar, lazy, want, found, call)
		if len(verdict.Differs) > 0 {
			anchored, outcomes := full.anchored()
			verdict.Anchored = len(judge(anchored, lazy, outcomes[n], found, call).Differs) == 0
			verdict.Shared = want.Listener != found.Listener && isShared(found.Listener)
		}
		if verdict.Asks != "" && want.asks == "" {
			_, outcomes := full.anchored()
			verdict.Anchored = outcomes[n].asks == verdict.Asks
		}
		scoped.Verdicts = append(scoped.Verdicts, verdict)
	}
	return scoped
}

// isShared tells a listener of all addresses by its name.
func isShared(listener string) bool {
	return strings.HasPrefix(listener, constants.UnspecifiedIP+"_")
}

func judge(full, lazy sidecar, want, found Outcome, call Call) Verdict {
	if call.Protocol == "tcp" && want.Kind == connected && found.waits && !want.waits && !full.speaksTLS(want) {
		return Verdict{Differs: []string{"expected no wait for the client's first bytes, got one"}, Lazy: &found}
	}
	if found.asks != "" {
		return Verdict{Asks: found.asks}
	}
	differs := differences(full, lazy, want, found)
	if len(differs) == 0 {
		return Verdict{}
	}
	return Verdict{Differs: differs, Lazy: &found}
}

// speaksTLS tells whether the clients of where a call is connected are the first to say something.
func (sidecar sidecar) speaksTLS(outcome Outcome) bool {
	return len(outcome.Clusters) > 0 && sidecar.port(outcome.Clusters[0].Cluster).IsTLS()
}

func differences(full, lazy sidecar, want, found Outcome) []string {
	if (want.host == nil) != (found.host == nil) && want.Kind != passed && want.Kind != closed {
		return []string{fmt.Sprintf("expected %s, got %s", want.Kind, found.Kind)}
	}
	if want.Kind != found.Kind {
		return []string{fmt.Sprintf("expected %s, got %s", want.Kind, found.Kind)}
	}
	if want.Kind == passed || want.Kind == closed {
		return nil
	}
	if want.Kind == refused && want.Detail != found.Detail {
		return []string{fmt.Sprintf("expected to be refused for %q, got %q", want.Detail, found.Detail)}
	}
	var differs []string
	if want.host != nil && !proto.Equal(withoutDomains(want.host), withoutDomains(found.host)) {
		differs = append(differs, "routes")
	}
	if want.host == nil && !slices.Equal(names(want.Clusters), names(found.Clusters)) {
		differs = append(differs, "TCP clusters")
	}
	reached := full.reached(want).Merge(lazy.reached(found))
	return append(differs, differing(full, lazy, reached)...)
}

// withoutDomains is the virtual host but for the names that lead to it: each call is asked about by itself.
func withoutDomains(host *route.VirtualHost) *route.VirtualHost {
	copied := proto.Clone(host).(*route.VirtualHost)
	copied.Domains = nil
	return copied
}

func names(shares []Share) []string {
	found := []string{}
	for _, share := range shares {
		found = append(found, fmt.Sprint(share.Weight, " ", share.Cluster))
	}
	return found
}

// reached are the clusters that an outcome may send to.
func (sidecar sidecar) reached(outcome Outcome) sets.String {
	reached := sets.New[string]()
	for _, share := range outcome.Clusters {
		reached.Insert(share.Cluster)
	}
	if outcome.host == nil {
		return reached
	}
	named, known := sidecar.named[outcome.host]
	if !known {
		named = clusterName.FindAllString(protojson.Format(outcome.host), -1)
		sidecar.named[outcome.host] = named
	}
	return reached.InsertAll(named...)
}

// differing are those of the clusters that are not, with their endpoints, what they are in full.
func differing(full, lazy sidecar, clusters sets.String) []string {
	differs := []string{}
	for _, name := range sets.SortedList(clusters) {
		want, known := full.clusters[name]
		found, here := lazy.clusters[name]
		switch {
		case known != here && known:
			differs = append(differs, name+" is missing")
		case known != here:
			differs = append(differs, name+" is not in the full scope")
		case !proto.Equal(want, found):
			differs = append(differs, name+" is another cluster")
		case !proto.Equal(full.endpoints[name], lazy.endpoints[name]):
			differs = append(differs, name+" has other endpoints")
		}
	}
	return differs
}
