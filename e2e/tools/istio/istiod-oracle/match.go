package main

import (
	"regexp"
	"strconv"
	"strings"

	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcher "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
)

// first is the route that a request takes.
func first(host *route.VirtualHost, call Call) *route.Route {
	for _, candidate := range host.GetRoutes() {
		if matches(candidate.GetMatch(), call) {
			return candidate
		}
	}
	return nil
}

// matches walks a RouteMatch as Envoy does. A query is part of the call's path.
func matches(match *route.RouteMatch, call Call) bool {
	path, query, _ := strings.Cut(call.Path, "?")
	if path == "" {
		path = "/"
	}
	if !matchesPath(match, path) {
		return false
	}
	for _, header := range match.GetHeaders() {
		if !matchesHeader(header, call) {
			return false
		}
	}
	for _, parameter := range match.GetQueryParameters() {
		if !matchesParameter(parameter, query) {
			return false
		}
	}
	return true
}

func matchesPath(match *route.RouteMatch, path string) bool {
	fold := func(text string) string { return text }
	if match.GetCaseSensitive() != nil && !match.GetCaseSensitive().GetValue() {
		fold = strings.ToLower
	}
	path = fold(path)
	switch specifier := match.GetPathSpecifier().(type) {
	case *route.RouteMatch_Prefix:
		return strings.HasPrefix(path, fold(specifier.Prefix))
	case *route.RouteMatch_Path:
		return path == fold(specifier.Path)
	case *route.RouteMatch_PathSeparatedPrefix:
		prefix := fold(specifier.PathSeparatedPrefix)
		return path == prefix || strings.HasPrefix(path, prefix+"/")
	case *route.RouteMatch_SafeRegex:
		return whole(specifier.SafeRegex.GetRegex(), path)
	}
	return false
}

func matchesHeader(header *route.HeaderMatcher, call Call) bool {
	value, present := headerOf(header.Name, call)
	if asked, ok := header.GetHeaderMatchSpecifier().(*route.HeaderMatcher_PresentMatch); ok {
		return (present == asked.PresentMatch) != header.GetInvertMatch()
	}
	if !present && !header.GetTreatMissingHeaderAsEmpty() {
		return false
	}
	return matchesValue(header, value) != header.GetInvertMatch()
}

func matchesValue(header *route.HeaderMatcher, value string) bool {
	switch specifier := header.GetHeaderMatchSpecifier().(type) {
	case *route.HeaderMatcher_StringMatch:
		return matchesString(specifier.StringMatch, value)
	case *route.HeaderMatcher_RangeMatch:
		number, err := strconv.ParseInt(value, 10, 64)
		return err == nil && specifier.RangeMatch.GetStart() <= number && number < specifier.RangeMatch.GetEnd()
	case nil:
		return true
	}
	return false
}

func headerOf(name string, call Call) (string, bool) {
	switch name {
	case ":authority":
		return call.Host, true
	case ":path":
		return call.Path, true
	case ":scheme":
		return "http", true
	}
	for key, value := range call.Headers {
		if strings.EqualFold(key, name) {
			return value, true
		}
	}
	if name == ":method" {
		return "GET", true
	}
	return "", false
}

func matchesParameter(parameter *route.QueryParameterMatcher, query string) bool {
	for _, pair := range strings.Split(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if name != parameter.Name {
			continue
		}
		wanted := parameter.GetStringMatch()
		return wanted == nil || matchesString(wanted, value)
	}
	return false
}

func matchesString(wanted *matcher.StringMatcher, value string) bool {
	fold := func(text string) string { return text }
	if wanted.GetIgnoreCase() {
		fold = strings.ToLower
	}
	value = fold(value)
	switch pattern := wanted.GetMatchPattern().(type) {
	case *matcher.StringMatcher_Exact:
		return value == fold(pattern.Exact)
	case *matcher.StringMatcher_Prefix:
		return strings.HasPrefix(value, fold(pattern.Prefix))
	case *matcher.StringMatcher_Suffix:
		return strings.HasSuffix(value, fold(pattern.Suffix))
	case *matcher.StringMatcher_Contains:
		return strings.Contains(value, fold(pattern.Contains))
	case *matcher.StringMatcher_SafeRegex:
		return whole(pattern.SafeRegex.GetRegex(), value)
	}
	return false
}

// whole: Envoy's expressions match the whole text.
func whole(expression, text string) bool {
	compiled, err := regexp.Compile("^(?:" + expression + ")$")
	return err == nil && compiled.MatchString(text)
}
