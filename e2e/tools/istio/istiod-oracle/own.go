package main

import (
	"maps"
	"regexp"
	"slices"

	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tcpproxy "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"istio.io/istio/pkg/util/sets"
)

// clusterName finds the names of outbound clusters in text, be it JSON in JSON.
var clusterName = regexp.MustCompile(`outbound\|[0-9]*\|[^|"\\\s]*\|[^|"\\\s]+`)

// statPrefix of the filters of some protocols is the name of the cluster that the application calls.
var statPrefix = regexp.MustCompile(`"statPrefix":\s*"[^"]*"`)

// ownClusters are those that the sidecar's filters themselves call, not its application.
func ownClusters(full sidecar) sets.String {
	own := sets.New[string]()
	find := func(message proto.Message) {
		text := statPrefix.ReplaceAllString(protojson.Format(message), "")
		own.InsertAll(clusterName.FindAllString(text, -1)...)
	}
	for _, extension := range full.extensions {
		find(extension)
	}
	for _, one := range full.listeners {
		for _, chain := range append(slices.Clone(one.GetFilterChains()), one.GetDefaultFilterChain()) {
			for _, filter := range chain.GetFilters() {
				find(withoutTargets(filter))
			}
		}
	}
	known := sets.New(slices.Collect(maps.Keys(full.clusters))...)
	return own.Intersection(known)
}

// withoutTargets is the filter but for where it sends the application's own traffic.
func withoutTargets(filter *listener.Filter) proto.Message {
	manager, proxy := &hcm.HttpConnectionManager{}, &tcpproxy.TcpProxy{}
	switch config := filter.GetTypedConfig(); {
	case config.UnmarshalTo(manager) == nil:
		manager.RouteSpecifier = nil
		return manager
	case config.UnmarshalTo(proxy) == nil:
		proxy.ClusterSpecifier = nil
		return proxy
	}
	return filter
}

// discovered are the names of the extensions that istiod sends apart from the listeners.
func discovered(listeners []*listener.Listener) []string {
	names := sets.New[string]()
	for _, one := range listeners {
		for _, chain := range append(slices.Clone(one.GetFilterChains()), one.GetDefaultFilterChain()) {
			for _, filter := range chain.GetFilters() {
				if filter.GetConfigDiscovery() != nil {
					names.Insert(filter.Name)
				}
				manager := &hcm.HttpConnectionManager{}
				if filter.GetTypedConfig().UnmarshalTo(manager) != nil {
					continue
				}
				for _, inner := range manager.GetHttpFilters() {
					if inner.GetConfigDiscovery() != nil {
						names.Insert(inner.Name)
					}
				}
			}
		}
	}
	return sets.SortedList(names)
}
