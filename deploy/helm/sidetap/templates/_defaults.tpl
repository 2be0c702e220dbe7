{{/* Written by tests/chart/values_table.py from values.yaml. */}}
{{- define "sidetap.defaults" -}}
"sensor.address": ""
"sensor.port": 2003
"sensor.mode": "replicate"
"subnets.pods": []
"subnets.services": []
"image.registry": ""
"image.tag": ""
"image.pullPolicy": "IfNotPresent"
"image.pullSecrets": []
"image.webhook.repository": "sidetap-webhook"
"image.webhook.digest": ""
"image.sidecar.repository": "sidetap-sidecar"
"image.sidecar.digest": ""
"image.sidecar.pullSecrets": []
"sidecar.native": "auto"
"sidecar.capabilities": "explicit"
"sidecar.snaplen": 262144
"sidecar.interface": ""
"sidecar.bufferSize": ""
"sidecar.backlog": ""
"sidecar.dataMtu": 0
"sidecar.tappedPeers": "none"
"sidecar.serviceView": "auto"
"sidecar.untappedServices": []
"sidecar.statusPort": 15920
"sidecar.logLevel": "info"
"sidecar.logFormat": "json"
"sidecar.env": {}
"sidecar.container": {}
"sidecar.resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"cpu": "500m", "memory": "96Mi"}}
"sidecar.overrides": ["sensor", "snaplen", "cpu-limit", "memory-limit", "interface", "log-level", "native"]
"injection.excludedNamespaces": []
"injection.excludedPods": {}
"injection.forceJobs": false
"webhook.replicas": 2
"webhook.failurePolicy": "Ignore"
"webhook.timeoutSeconds": 3
"webhook.port": 10250
"webhook.statusPort": 15921
"webhook.hostNetwork": false
"webhook.threads": 2
"webhook.drainSeconds": 45
"webhook.logLevel": "info"
"webhook.logFormat": "json"
"webhook.extraArgs": []
"webhook.resources": {"requests": {"cpu": "50m", "memory": "32Mi"}, "limits": {"memory": "512Mi"}}
"webhook.priorityClassName": ""
"webhook.nodeSelector": {"kubernetes.io/os": "linux"}
"webhook.tolerations": []
"webhook.affinity": {}
"webhook.podLabels": {}
"webhook.podAnnotations": {}
"webhook.podDisruptionBudget": true
"certificates.mode": "selfManaged"
"certificates.certManager.issuerRef": {}
"certificates.certManager.duration": "2160h"
"certificates.certManager.renewBefore": "720h"
"certificates.existingSecret.name": ""
"certificates.existingSecret.caBundle": ""
"registry.enabled": true
"registry.port": 8444
"registry.auth": "token"
"registry.readPods": "auto"
"registry.services": true
"registry.nodes": true
"identities.enabled": true
"identities.keep": "24h"
"identities.entries": 200000
"identities.volume": {}
"rbac.create": true
"serviceAccount.create": true
"serviceAccount.name": ""
"serviceAccount.annotations": {}
"networkPolicy.enabled": false
"networkPolicy.apiServerCIDRs": []
"networkPolicy.apiServerPorts": [443, 6443]
"networkPolicy.metricsFrom": []
"networkPolicy.registryFrom": []
"admissionPolicy.enabled": true
"admissionPolicy.actions": ["Warn", "Audit"]
"monitoring.podMonitor.enabled": false
"monitoring.podMonitor.labels": {}
"monitoring.podMonitor.interval": "30s"
"monitoring.rules.enabled": false
"monitoring.rules.labels": {}
"monitoring.dashboard.enabled": false
"monitoring.dashboard.labels": {"grafana_dashboard": "1"}
"tests.namespace": "default"
"commonLabels": {}
"commonAnnotations": {}
"nameOverride": ""
"fullnameOverride": ""
{{- end -}}
