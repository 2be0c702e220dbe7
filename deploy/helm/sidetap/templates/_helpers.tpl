{{/* Names. */}}
{{- define "sidetap.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "sidetap.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "sidetap.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "sidetap.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "sidetap.webhook" -}}{{ include "sidetap.fullname" . }}-webhook{{- end -}}
{{- define "sidetap.registry" -}}{{ include "sidetap.fullname" . }}-registry{{- end -}}
{{- define "sidetap.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "sidetap.webhook" .) -}}
{{- end -}}

{{/* The Secret that holds the certificate. The webhook's own has another name than what others write: a change of mode
     neither meets a Secret that is not the chart's nor takes away the one that was just made. */}}
{{- define "sidetap.tlsSecret" -}}
{{- if eq .Values.certificates.mode "selfManaged" -}}
{{- include "sidetap.fullname" . }}-self-managed-tls
{{- else if and (eq .Values.certificates.mode "existingSecret") .Values.certificates.existingSecret.name -}}
{{- .Values.certificates.existingSecret.name -}}
{{- else -}}
{{- include "sidetap.webhook" . }}-tls
{{- end -}}
{{- end -}}

{{/* The webhook asks the API for its certificates and for token reviews only. */}}
{{- define "sidetap.asksApi" -}}
{{- if or (eq .Values.certificates.mode "selfManaged") (and .Values.registry.enabled (or (eq .Values.registry.auth "token") .Values.registry.services)) -}}yes{{- end -}}
{{- end -}}

{{/* May the registry look at pods? A connection proves its source: one address of dual-stack pods, and none where traffic to a node leaves with the node's. */}}
{{- define "sidetap.readsPods" -}}
{{- $pods := join "," .Values.subnets.pods -}}
{{- $dual := and (contains ":" $pods) (contains "." $pods) -}}
{{- $wanted := or (eq .Values.registry.readPods "always") (and (eq .Values.registry.readPods "auto") (or $dual .Values.webhook.hostNetwork)) -}}
{{- if and .Values.registry.enabled (eq .Values.registry.auth "token") $wanted -}}yes{{- end -}}
{{- end -}}

{{/* Labels and annotations. Each set is merged, not listed: a key that comes twice is no YAML. */}}
{{- define "sidetap.selectorLabels" -}}
app.kubernetes.io/name: {{ include "sidetap.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: webhook
{{- end -}}

{{/* Labels of the webhook's pods: what selects them wins over what is asked for, and the pods' own over what all objects get. */}}
{{- define "sidetap.podLabels" -}}
{{- toYaml (merge (include "sidetap.selectorLabels" . | fromYaml) .Values.webhook.podLabels .Values.commonLabels) -}}
{{- end -}}

{{- define "sidetap.podAnnotations" -}}
{{- toYaml (merge (dict) .Values.webhook.podAnnotations .Values.commonAnnotations (dict "kubectl.kubernetes.io/default-container" "webhook")) -}}
{{- end -}}

{{- define "sidetap.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/name: {{ include "sidetap.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{/* include "sidetap.metadata" (dict "context" $ "name" NAME): name, labels and annotations of an object. "namespace", when it
     is not the release's; "cluster" true, when it has none. */}}
{{- define "sidetap.metadata" -}}
{{- $labels := include "sidetap.labels" .context | fromYaml -}}
{{- with .component }}{{ $labels = set $labels "app.kubernetes.io/component" . }}{{ end -}}
name: {{ .name }}
{{- if not .cluster }}
namespace: {{ .namespace | default .context.Release.Namespace }}
{{- end }}
labels:
  {{- toYaml (merge $labels (.labels | default dict) .context.Values.commonLabels) | nindent 2 }}
{{- with merge (dict) (.annotations | default dict) .context.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* include "sidetap.image" (dict "context" $ "image" .Values.image.webhook) */}}
{{- define "sidetap.image" -}}
{{- with .context.Values.image.registry }}{{ trimSuffix "/" . }}/{{ end -}}
{{- .image.repository -}}
{{- if .image.digest }}@{{ .image.digest }}{{ else }}:{{ .context.Values.image.tag | default .context.Chart.AppVersion }}{{ end -}}
{{- end -}}

{{/* include "sidetap.serverIs" (list $ "1.30"): is the server that minor version or newer? Vendors' suffixes ("-gke.100") count as the version itself. */}}
{{- define "sidetap.serverIs" -}}
{{- if semverCompare (printf ">=%s.0-0" (index . 1)) (index . 0).Capabilities.KubeVersion.Version -}}yes{{- end -}}
{{- end -}}

{{/* Namespaces that the API server never asks about. */}}
{{- define "sidetap.excludedNamespaces" -}}
{{- range concat (list "kube-system" "kube-public" "kube-node-lease" .Release.Namespace) .Values.injection.excludedNamespaces | uniq }}
- {{ . }}
{{- end }}
{{- end -}}

{{/* Levels of Pod Security at which the API server would refuse a pod for its tap. */}}
{{- define "sidetap.refusingLevels" -}}
{{- toYaml (ternary (list "restricted" "baseline") (list "restricted") (eq .Values.sidecar.capabilities "explicit")) -}}
{{- end -}}

{{/* What no schema can say: values that only the operator knows, and pairs that do not go together. */}}
{{- define "sidetap.validate" -}}
{{- $missing := list -}}
{{- if not .Values.sensor.address -}}
{{- $missing = append $missing `sensor.address is not set: the sensor's address, as pods reach it.
      --set sensor.address=10.10.10.10
    Several sensors: --set sensor.address='10.10.10.10\,10.10.10.11'` -}}
{{- end -}}
{{- if not .Values.subnets.pods -}}
{{- $missing = append $missing `subnets.pods is not set: the subnets that pods get their addresses from. To find them:
      kubectl cluster-info dump | grep -m 1 cluster-cidr
    With Calico:
      kubectl --namespace=kube-system get daemonset calico-node -o=jsonpath='{.spec.template.spec.containers[*].env[?(@.name=="CALICO_IPV4POOL_CIDR")].value}'
      kubectl get ippools.crd.projectcalico.org -o=jsonpath='{.items[*].spec.cidr}'
    In general, one subnet a node:
      kubectl get nodes -o=jsonpath='{.items[*].spec.podCIDRs}'
    Then: --set subnets.pods={10.244.0.0/16}` -}}
{{- end -}}
{{- if not .Values.subnets.services -}}
{{- $missing = append $missing `subnets.services is not set: the subnets of cluster IPs. To find them:
      kubectl cluster-info dump | grep -m 1 service-cluster-ip-range
    From server 1.33 on:
      kubectl get servicecidrs -o=jsonpath='{.items[*].spec.cidrs}'
    Then: --set subnets.services={10.96.0.0/12}` -}}
{{- end -}}
{{- if $missing -}}
{{- fail (printf "\n\n  - %s\n" (join "\n\n  - " $missing)) -}}
{{- end -}}
{{- if and .Values.webhook.hostNetwork (eq (int .Values.webhook.port) 10250) -}}
{{- fail "\n\n  webhook.hostNetwork is set and webhook.port is 10250, which on a node is the kubelet's. Choose another that the control plane reaches, for example --set webhook.port=10260\n" -}}
{{- end -}}
{{- if and (eq .Values.sidecar.native "always") (not (include "sidetap.serverIs" (list . "1.29"))) -}}
{{- fail (printf "\n\n  sidecar.native is always, but server %s knows no native sidecars (1.29 does). Leave it at auto.\n" .Capabilities.KubeVersion.Version) -}}
{{- end -}}
{{- $ports := list (int .Values.webhook.port) (int .Values.webhook.statusPort) -}}
{{- if .Values.registry.enabled -}}{{- $ports = append $ports (int .Values.registry.port) -}}{{- end -}}
{{- if ne (len $ports) (len (uniq $ports)) -}}
{{- fail "\n\n  webhook.port, webhook.statusPort and registry.port must differ.\n" -}}
{{- end -}}
{{- if and (eq .Values.certificates.mode "certManager") (not (.Capabilities.APIVersions.Has "cert-manager.io/v1")) -}}
{{- fail "\n\n  certificates.mode is certManager, but the server has no cert-manager.io/v1. Install cert-manager first, or leave certificates.mode at selfManaged.\n  Without a server (helm template): --api-versions cert-manager.io/v1\n" -}}
{{- end -}}
{{- end -}}
