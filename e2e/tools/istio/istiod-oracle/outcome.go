package main

import (
	"fmt"
	"slices"
	"strings"

	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tcpproxy "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/pkg/networking/util"
	"istio.io/istio/pilot/pkg/simulation"
	xdsfilters "istio.io/istio/pilot/pkg/xds/filters"
	"istio.io/istio/pkg/wellknown"
)

// What becomes of a call.
const (
	// routed: a route sends it to one of its clusters.
	routed = "routed"
	// answered: a route answers it itself, or a fault may, so that no callee need see it.
	answered = "answered"
	// connected: a TCP filter chain connects it to one of its clusters.
	connected = "connected"
	// passed: it goes where it was dialled, as it is.
	passed = "passed"
	// closed: the mesh lets nothing out that it does not know.
	closed = "closed"
	// refused: nothing matches it, or it is not what is spoken there.
	refused = "refused"
)

// Outcome is what becomes of a call.
type Outcome struct {
	Kind        string `json:"kind"`
	Listener    string `json:"listener"`
	VirtualHost string `json:"virtual_host,omitempty"`
	Route       string `json:"route,omitempty"`
	// Clusters that the call may go to.
	Clusters []Share `json:"clusters,omitempty"`
	// Shaped: the route does more with the call than to send it to its clusters by their weights.
	Shaped bool `json:"shaped,omitempty"`
	// Service that the call goes to by a plain default route, with nothing that shapes it.
	Plain *Service `json:"plain,omitempty"`
	// Detail is the error of what is refused, and what shapes that which is not plain.
	Detail string `json:"detail,omitempty"`

	// Dialled: the cluster connects, in plain text, to where the call was dialled, as passing it through would.
	Dialled bool `json:"dialled,omitempty"`

	// asks is what lazymesh's filter asks about: the call as it knows it in a catch-all, "" elsewhere.
	asks string
	// waits: the listener reads what the client says before it chooses a filter chain.
	waits bool
	chain *listener.FilterChain
	host  *route.VirtualHost
}

// Share is a cluster with its weight.
type Share struct {
	Cluster string `json:"cluster"`
	Weight  uint32 `json:"weight"`
	// Known: the sidecar has that cluster.
	Known bool `json:"known"`
}

// outcomes of calls, in their order.
func (sidecar sidecar) outcomes(calls []Call) []Outcome {
	var outcomes []Outcome
	for _, call := range calls {
		outcomes = append(outcomes, sidecar.outcome(call))
	}
	return outcomes
}

// outcome walks a call through the sidecar.
func (sidecar sidecar) outcome(call Call) (outcome Outcome) {
	defer func() {
		if cause := recover(); cause != nil {
			outcome = Outcome{Kind: refused, Detail: fmt.Sprintf("the simulation gave up: %v", cause)}
		}
	}()
	var chain *listener.FilterChain
	result := sidecar.simulation.Run(call.simulated(func(matched *listener.FilterChain) error {
		chain = matched
		return nil
	}))
	outcome = Outcome{Listener: result.ListenerMatched, VirtualHost: result.VirtualHostMatched, chain: chain}
	if chain == nil || (result.Error != nil && result.Error != simulation.ErrNoRoute) {
		outcome.Kind, outcome.Detail = refused, fmt.Sprint(result.Error)
		return outcome
	}
	outcome.waits = sidecar.has(result.ListenerMatched, xdsfilters.HTTPInspector.Name, xdsfilters.TLSInspector.Name)
	if result.VirtualHostMatched == "" {
		sidecar.connect(&outcome, call)
		return outcome
	}
	for _, host := range sidecar.routes[result.RouteConfigMatched].GetVirtualHosts() {
		if host.Name == result.VirtualHostMatched {
			outcome.host = host
		}
	}
	sidecar.route(&outcome, call)
	return outcome
}

func (call Call) simulated(matched simulation.CustomFilterChainValidation) simulation.Call {
	simulated := simulation.Call{
		Address:                   call.Address,
		Port:                      call.Port,
		Path:                      call.Path,
		CallMode:                  simulation.CallModeOutbound,
		CustomListenerValidations: []simulation.CustomFilterChainValidation{matched},
	}
	switch call.Protocol {
	case "tcp":
		simulated.Protocol = simulation.TCP
	case "tls":
		simulated.Protocol, simulated.TLS = simulation.TCP, simulation.TLS
		// Envoy compares names in lower case.
		simulated.Sni = strings.ToLower(call.Host)
	default:
		simulated.Protocol = simulation.HTTP
		simulated.HostHeader = strings.ToLower(call.Host)
	}
	return simulated
}

// has tells whether a listener has one of these listener filters.
func (sidecar sidecar) has(name string, filters ...string) bool {
	for _, one := range sidecar.listeners {
		for _, filter := range one.GetListenerFilters() {
			if one.GetName() == name && slices.Contains(filters, filter.GetName()) {
				return true
			}
		}
	}
	return false
}

// connect tells what a TCP filter chain does.
func (sidecar sidecar) connect(outcome *Outcome, call Call) {
	proxy := &tcpproxy.TcpProxy{}
	for _, filter := range outcome.chain.GetFilters() {
		if filter.Name == wellknown.TCPProxy {
			if err := filter.GetTypedConfig().UnmarshalTo(proxy); err != nil {
				panic(err)
			}
		}
	}
	if isCatchAll(outcome.chain) {
		outcome.asks = "tcp"
		if call.Protocol == "tls" && sidecar.has(outcome.Listener, xdsfilters.TLSInspector.Name) {
			outcome.asks = "tls"
		}
	}
	switch proxy.GetCluster() {
	case util.PassthroughCluster:
		outcome.Kind = passed
		return
	case util.BlackHoleCluster:
		outcome.Kind = closed
		return
	}
	outcome.Kind = connected
	if name := proxy.GetCluster(); name != "" {
		outcome.Clusters = sidecar.shares(name)
		outcome.Plain, outcome.Detail = sidecar.plainCluster(name, call)
		outcome.Dialled = sidecar.isDialled(name, call)
	}
	for _, weighted := range proxy.GetWeightedClusters().GetClusters() {
		outcome.Clusters = append(outcome.Clusters, sidecar.share(weighted.Name, weighted.Weight))
	}
}

// isCatchAll: the attachment's network filter is in this chain.
func isCatchAll(chain *listener.FilterChain) bool {
	return chain.GetName() == model.VirtualOutboundCatchAllTCPFilterChainName || chain.GetName() == util.PassthroughFilterChain
}

// route tells what the virtual host does.
func (sidecar sidecar) route(outcome *Outcome, call Call) {
	switch outcome.VirtualHost {
	case util.Passthrough:
		outcome.Kind, outcome.asks = passed, "http"
		return
	case util.BlackHole:
		outcome.Kind, outcome.asks = closed, "http"
		return
	}
	taken := first(outcome.host, call)
	if taken == nil {
		outcome.Kind, outcome.Detail = refused, "no route matches"
		return
	}
	outcome.Route = taken.Name
	outcome.Clusters = sidecar.targets(taken)
	if reason := answers(taken); reason != "" {
		outcome.Kind, outcome.Detail = answered, reason
		return
	}
	outcome.Kind = routed
	outcome.Shaped = !proto.Equal(bare(taken), sidecar.defaultRoute)
	if outcome.Shaped {
		outcome.Detail = "routes"
		return
	}
	outcome.Plain, outcome.Detail = sidecar.plain(outcome.host, taken, call)
}

// targets are the clusters that a route sends to; none where it answers itself.
func (sidecar sidecar) targets(taken *route.Route) []Share {
	action := taken.GetRoute()
	if name := action.GetCluster(); name != "" {
		return sidecar.shares(name)
	}
	var shares []Share
	for _, weighted := range action.GetWeightedClusters().GetClusters() {
		shares = append(shares, sidecar.share(weighted.Name, weighted.Weight.GetValue()))
	}
	return shares
}

func (sidecar sidecar) shares(name string) []Share {
	return []Share{sidecar.share(name, 100)}
}

func (sidecar sidecar) share(name string, weight uint32) Share {
	_, known := sidecar.clusters[name]
	return Share{Cluster: name, Weight: weight, Known: known}
}

// bare is the route but for what it takes, which clusters it sends to, and what it is called.
func bare(taken *route.Route) *route.Route {
	copied := proto.Clone(taken).(*route.Route)
	copied.Name, copied.Match, copied.Metadata, copied.Decorator = "", nil, nil, nil
	action := copied.GetRoute()
	var shaping []*route.WeightedCluster_ClusterWeight
	for _, weighted := range action.GetWeightedClusters().GetClusters() {
		weighted.Name, weighted.Weight = "", nil
		if proto.Size(weighted) > 0 {
			shaping = append(shaping, weighted)
		}
	}
	if action != nil {
		// Of clusters that are there it says nothing.
		action.ClusterSpecifier, action.ClusterNotFoundResponseCode = nil, 0
	}
	if shaping != nil {
		action.ClusterSpecifier = &route.RouteAction_WeightedClusters{WeightedClusters: &route.WeightedCluster{Clusters: shaping}}
	}
	return copied
}

// answers tells why a route's request may never reach a callee; "" where it will.
func answers(taken *route.Route) string {
	switch {
	case taken.GetDirectResponse() != nil:
		return "direct response"
	case taken.GetRedirect() != nil:
		return "redirect"
	}
	if fault, ok := taken.GetTypedPerFilterConfig()[wellknown.Fault]; ok {
		if strings.Contains(protojson.Format(fault), `"abort"`) {
			return "fault"
		}
	}
	return ""
}
